<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

/**
 * Where requests to brokers are carried out.
 *
 * @internal
 */
interface Probes
{
    /**
     * @param array{do: string, queue: string, id?: string} $request
     * @param callable(array{result?: mixed, error?: string, code?: int}): void $then
     * @param int $spare So many that could carry out another one must be left.
     *
     * @return bool false: none is free
     */
    public function ask(array $request, callable $then, int $spare = 0): bool;

    /** @return list<resource> those with something to read when an answer comes */
    public function streams(): array;

    /** Passes on the answers that have come. */
    public function settle(): void;

    /** @param float $patience seconds for what is being carried out */
    public function close(float $patience): void;
}
