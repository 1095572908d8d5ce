<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

/** As PSR-14 has it: finds listeners by the event's class. */
final class Dispatcher
{
    /** @var array<class-string, callable> */
    public array $listeners = [];

    public function dispatch(object $event): object
    {
        ($this->listeners[$event::class] ?? static fn () => null)($event);

        return $event;
    }
}
