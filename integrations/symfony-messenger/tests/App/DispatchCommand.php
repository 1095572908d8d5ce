<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests\App;

use Symfony\Component\Console\Command\Command;
use Symfony\Component\Console\Input\InputArgument;
use Symfony\Component\Console\Input\InputInterface;
use Symfony\Component\Console\Output\OutputInterface;
use Symfony\Component\Messenger\MessageBusInterface;
use Symfony\Component\Messenger\Stamp\DelayStamp;

/** Dispatches the messages 1 to COUNT. */
final class DispatchCommand extends Command
{
    public function __construct(private readonly MessageBusInterface $bus)
    {
        parent::__construct('app:dispatch');
    }

    protected function configure(): void
    {
        $this->addArgument('count', InputArgument::REQUIRED)
            ->addArgument('do', InputArgument::OPTIONAL, '', 'ok')
            ->addArgument('body', InputArgument::OPTIONAL, 'base64, or how many bytes', '')
            ->addArgument('delay', InputArgument::OPTIONAL, 'milliseconds', '0');
    }

    protected function execute(InputInterface $input, OutputInterface $output): int
    {
        $body = $input->getArgument('body');
        $body = ctype_digit($body) ? random_bytes((int) $body) : (string) base64_decode($body);
        $delay = (int) $input->getArgument('delay');
        for ($i = 1; $i <= (int) $input->getArgument('count'); $i++) {
            $message = $input->getArgument('do') === 'page' ? new Page($i) : new Work($i, $input->getArgument('do'), $body);
            $this->bus->dispatch($message, $delay > 0 ? [new DelayStamp($delay)] : []);
        }
        $output->writeln('dispatched ' . md5($body));

        return 0;
    }
}
