<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Exception\ConfigException;

/**
 * Which handler a job's name has.
 *
 * Only what was registered is ever called or made: a name that comes with a job is compared, never used as a class.
 *
 * @internal
 */
final class Handlers
{
    /** @var array<string, mixed> by job name */
    private array $exact = [];

    /** @var array<string, mixed> by pattern, in the order given */
    private array $patterns = [];

    /** @var array<string, callable> resolved, by name or pattern */
    private array $ready = [];

    public function __construct(private readonly Resolver $resolver)
    {
    }

    /** @throws ConfigException nothing that could handle a job */
    public function add(string $name, mixed $handler): void
    {
        if ($name === '') {
            throw new ConfigException('A handler\'s job name must not be empty; the name "*" handles all jobs that have no other handler');
        }
        $problem = $this->problem($handler);
        if ($problem !== null) {
            throw new ConfigException("Invalid handler for \"$name\": $problem");
        }
        if (str_contains($name, '*')) {
            $this->patterns[$name] = $handler;
        } else {
            $this->exact[$name] = $handler;
        }
        // Names that a pattern has caught before may now be another's.
        $this->ready = [];
    }

    public function isEmpty(): bool
    {
        return $this->exact === [] && $this->patterns === [];
    }

    /**
     * The name or pattern under which a job's handler was registered; null: it has none.
     *
     * The name itself goes first, then the patterns in their order, "*" last of all.
     */
    public function keyOf(string $name): ?string
    {
        if (isset($this->exact[$name])) {
            return $name;
        }
        foreach ($this->patterns as $pattern => $_) {
            if ($pattern !== '*' && self::matches((string) $pattern, $name)) {
                return (string) $pattern;
            }
        }

        return isset($this->patterns['*']) ? '*' : null;
    }

    /** How its jobs are collected, if its handler takes many at once. */
    public function batchOf(string $key): ?Batch
    {
        $handler = $this->exact[$key] ?? $this->patterns[$key] ?? null;

        return $handler instanceof Batch ? $handler : null;
    }

    /** @return array<string, Batch> */
    public function batches(): array
    {
        return array_filter($this->exact + $this->patterns, static fn (mixed $handler) => $handler instanceof Batch);
    }

    /** Whether there is a handler that takes one job. */
    public function hasOthers(): bool
    {
        return count($this->batches()) < count($this->exact) + count($this->patterns);
    }

    /** The handler; made at its first use. */
    public function get(string $key): callable
    {
        $handler = $this->exact[$key] ?? $this->patterns[$key];

        return $this->ready[$key] ??= $this->resolver->resolve($handler instanceof Batch ? $handler->handler : $handler);
    }

    private static function matches(string $pattern, string $name): bool
    {
        return preg_match('/^' . str_replace('\*', '.*', preg_quote($pattern, '/')) . '$/sD', $name) === 1;
    }

    private function problem(mixed $handler): ?string
    {
        $isBatch = $handler instanceof Batch;
        $handler = $isBatch ? $handler->handler : $handler;
        $problem = $this->resolver->problem($handler, 1, $isBatch
            ? 'it requires more than one argument, but is called with the list of tasks alone'
            : 'it requires more than one argument, but is called with the task alone');
        if ($problem !== null) {
            return $problem;
        }

        return match ([...$this->resolver->takes($handler), $isBatch]) {
            [true, false, true] => 'it takes one Task, but the handler of a batch is given an array of them',
            [false, true, false] => 'it takes an array, but is given one Task: register it with batch()',
            default => null,
        };
    }
}
