<?php

declare(strict_types=1);

namespace App\MessageHandler;

use App\Message\ProcessOrder;
use Symfony\Component\Messenger\Attribute\AsMessageHandler;

#[AsMessageHandler]
final class ProcessOrderHandler
{
    /** @var array<int, true> */
    private array $failed = [];

    public function __invoke(ProcessOrder $order): void
    {
        if ($order->failOnce && !isset($this->failed[$order->orderId])) {
            $this->failed[$order->orderId] = true;
            echo date('H:i:s'), " order $order->orderId: the card was declined, Messenger tries again in a second\n";

            throw new \RuntimeException('card declined');
        }
        printf("%s order %d: %.2f charged\n", date('H:i:s'), $order->orderId, $order->amount);
    }
}
