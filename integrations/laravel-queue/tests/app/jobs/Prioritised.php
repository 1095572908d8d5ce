<?php

declare(strict_types=1);

namespace App\Jobs;

/** A job with options of the extension. */
class Prioritised extends Note
{
    /** @return array<string, mixed> */
    public function amqp1Options(): array
    {
        return $this->does === 'wrong' ? ['priority' => -1] : ['priority' => 9, 'headers' => ['tenant' => $this->text]];
    }
}
