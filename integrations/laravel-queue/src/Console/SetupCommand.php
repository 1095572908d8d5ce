<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Console;

use Amqp1\Exception\ExceptionInterface;
use Amqp1\Laravel\Amqp1Queue;
use Illuminate\Console\Command;
use Illuminate\Queue\QueueManager;

/** Declares a connection's queues and reports differences, for deployments that set "declare" to false. */
class SetupCommand extends Command
{
    protected $signature = 'amqp1:setup
        {connection? : The name of the queue connection}
        {--queue= : The names of the queues, separated by commas. Default: those that config/queue.php names}';

    protected $description = 'Declare the queues of an amqp1 connection, and report what differs';

    public function handle(QueueManager $manager): int
    {
        $name = $this->argument('connection') ?: $manager->getDefaultDriver();
        $connection = $manager->connection($name);
        if (!$connection instanceof Amqp1Queue) {
            $this->error("The queue connection [$name] is not of the driver amqp1.");

            return 1;
        }
        $queues = $this->option('queue') ? array_map('trim', explode(',', $this->option('queue'))) : $connection->configuredQueues();
        $failed = 0;
        foreach ($queues as $queue) {
            try {
                $connection->amqpQueue($queue)->setup();
                $this->line("<info>$queue</info> is set up.");
            } catch (ExceptionInterface $error) {
                $this->line("<error>$queue</error> {$error->getMessage()}");
                $failed++;
            }
        }

        return $failed === 0 ? 0 : 1;
    }
}
