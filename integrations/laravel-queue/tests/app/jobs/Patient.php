<?php

declare(strict_types=1);

namespace App\Jobs;

/** Ends by time, or by its number of exceptions, not by its attempts. */
class Patient extends Note
{
    public int $maxExceptions = 2;
    public int $backoff = 0;

    public function retryUntil(): \DateTimeInterface
    {
        return now()->addSeconds($this->does === 'throw' ? 60 : 3);
    }
}
