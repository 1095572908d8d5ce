<?php

declare(strict_types=1);

namespace App\Jobs;

use Illuminate\Cache\RateLimiting\Limit;
use Illuminate\Queue\Middleware\RateLimited;
use Illuminate\Support\Facades\RateLimiter;

/** One of them in five seconds; the others are released meanwhile. */
class Limited extends Note
{
    public int $tries = 0;

    /** @return list<object> */
    public function middleware(): array
    {
        RateLimiter::for('limited', static fn () => Limit::perMinute(1));

        return [new RateLimited('limited')];
    }
}
