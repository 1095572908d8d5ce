<?php

declare(strict_types=1);

namespace Amqp1\Bench;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Queue\InteractsWithQueue;

/** The job of bench/laravel, which does nothing. */
final class LaravelJob implements ShouldQueue
{
    use InteractsWithQueue, Queueable;

    public static int $handled = 0;

    public function __construct(public int $orderId, public string $body)
    {
    }

    public function handle(): void
    {
        self::$handled++;
    }
}
