<?php

declare(strict_types=1);

namespace App\Jobs;

class UrgentOrder extends ProcessOrder
{
    /** @return array<string, mixed> options of the extension */
    public function amqp1Options(): array
    {
        return ['priority' => 9];
    }
}
