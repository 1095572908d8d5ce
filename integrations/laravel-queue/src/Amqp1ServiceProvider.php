<?php

declare(strict_types=1);

namespace Amqp1\Laravel;

use Amqp1\Laravel\Console\SetupCommand;
use Illuminate\Queue\QueueManager;
use Illuminate\Support\ServiceProvider;

/** Makes the driver "amqp1" known to Laravel's queues, and configures a connection of that name. */
class Amqp1ServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->mergeConfigFrom(__DIR__ . '/../config/amqp1.php', 'queue.connections.amqp1');
        $this->callAfterResolving('queue', function (QueueManager $queues): void {
            $queues->addConnector('amqp1', fn () => new Amqp1Connector($this->app));
        });
    }

    public function boot(): void
    {
        if ($this->app->runningInConsole()) {
            $this->commands([SetupCommand::class]);
        }
    }
}
