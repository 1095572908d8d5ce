<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support\WorkerHandlers;

/** Like a PSR-11 container. */
final class Container
{
    /** @var list<string> */
    public array $asked = [];

    public function get(string $id): object
    {
        $this->asked[] = $id;

        return $id === Invoked::class ? new Invoked() : static fn () => null;
    }

    public function has(string $id): bool
    {
        return true;
    }
}
