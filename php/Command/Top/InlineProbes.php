<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

/**
 * Carries out requests at once, in this process: nothing else goes on meanwhile.
 *
 * @internal
 */
final class InlineProbes implements Probes
{
    public function __construct(private readonly Probe $probe)
    {
    }

    public function ask(array $request, callable $then, int $spare = 0): bool
    {
        $then($this->probe->answer($request));

        return true;
    }

    public function streams(): array
    {
        return [];
    }

    public function settle(): void
    {
    }

    public function close(float $patience): void
    {
    }
}
