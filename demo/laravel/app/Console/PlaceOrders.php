<?php

declare(strict_types=1);

namespace App\Console;

use App\Jobs\ProcessOrder;
use App\Jobs\UrgentOrder;
use Illuminate\Console\Command;

/** Ten orders: the third is delayed, the sixth fails once, the eighth is urgent. */
class PlaceOrders extends Command
{
    protected $signature = 'app:place-orders';

    protected $description = 'Place ten orders';

    public function handle(): int
    {
        for ($i = 1; $i <= 10; $i++) {
            $since = hrtime(true);
            match ($i) {
                3 => ProcessOrder::dispatch(1003, 31.5)->delay(2),
                8 => UrgentOrder::dispatch(1008, 84.0),
                default => ProcessOrder::dispatch(1000 + $i, 10.5 * $i, $i === 6),
            };
            $this->line(sprintf('order %d in %.1f ms%s', 1000 + $i, (hrtime(true) - $since) / 1e6, $i === 3 ? ', delayed by 2 s' : ''));
        }

        return 0;
    }
}
