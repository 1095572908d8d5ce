<?php

declare(strict_types=1);

namespace App\Command;

use Amqp1\SymfonyMessenger\Stamp\Amqp1Stamp;
use App\Message\ProcessOrder;
use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\Messenger\MessageBusInterface;
use Symfony\Component\Messenger\Stamp\DelayStamp;

/** Ten orders: the third is delayed, the sixth fails once, the eighth is urgent. */
final class PlaceOrdersCommand extends Command
{
    public function __construct(private readonly MessageBusInterface $bus)
    {
        parent::__construct('app:place-orders');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        for ($i = 1; $i <= 10; $i++) {
            $stamps = match ($i) {
                3 => [new DelayStamp(2000)],
                8 => [new Amqp1Stamp(priority: 9)],
                default => [],
            };
            $since = hrtime(true);
            $this->bus->dispatch(new ProcessOrder(1000 + $i, 10.5 * $i, $i === 6), $stamps);
            $output->writeln(sprintf('order %d in %.1f ms%s', 1000 + $i, (hrtime(true) - $since) / 1e6, $i === 3 ? ', delayed by 2 s' : ''));
        }

        return 0;
    }
}
