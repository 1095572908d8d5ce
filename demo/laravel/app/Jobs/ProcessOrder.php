<?php

declare(strict_types=1);

namespace App\Jobs;

use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;

class ProcessOrder implements ShouldQueue
{
    use Dispatchable, InteractsWithQueue, Queueable;

    public function __construct(public int $orderId, public float $amount, public bool $failOnce = false)
    {
    }

    public function handle(): void
    {
        if ($this->failOnce && $this->attempts() === 1) {
            echo date('H:i:s'), " order $this->orderId: the card was declined, Laravel tries again in a second\n";

            throw new \RuntimeException('card declined');
        }
        printf("%s order %d: %.2f charged\n", date('H:i:s'), $this->orderId, $this->amount);
    }
}
