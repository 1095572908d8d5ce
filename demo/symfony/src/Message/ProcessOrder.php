<?php

declare(strict_types=1);

namespace App\Message;

final class ProcessOrder
{
    public function __construct(public readonly int $orderId, public readonly float $amount, public readonly bool $failOnce = false)
    {
    }
}
