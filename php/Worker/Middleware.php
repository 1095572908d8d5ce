<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Exception\ConfigException;
use Amqp1\TaskInterface;

/**
 * What runs around each handler, the first one outermost.
 *
 * @internal
 */
final class Middleware
{
    /** @var list<mixed> */
    private array $given = [];

    /** @var list<callable>|null resolved */
    private ?array $ready = null;

    public function __construct(private readonly Resolver $resolver)
    {
    }

    /** @throws ConfigException nothing that could be called */
    public function add(mixed $middleware): void
    {
        $problem = $this->resolver->problem($middleware, 2,
            'it requires more than two arguments, but is called with the task and the next callable');
        if ($problem !== null) {
            throw new ConfigException("Invalid middleware: $problem");
        }
        $this->given[] = $middleware;
        $this->ready = null;
    }

    /**
     * @param array<string, Batch> $batches The handlers that take many jobs at once.
     *
     * @throws ConfigException one takes a Task, and not the array that such a handler is given
     */
    public function check(array $batches, bool $hasOthers): void
    {
        foreach ($this->given as $number => $middleware) {
            [$task, $array] = $this->resolver->takes($middleware);
            $which = 'Middleware ' . ($number + 1);
            if ($batches !== [] && $task && !$array) {
                throw new ConfigException("$which takes a Task, but the handler for \"" . array_key_first($batches)
                    . '" takes a batch: let its first parameter be Task|array');
            }
            if ($hasOthers && $array && !$task) {
                throw new ConfigException("$which takes an array, but not all handlers take a batch: let its first"
                    . ' parameter be Task|array');
            }
        }
    }

    /** @param TaskInterface|list<TaskInterface> $job */
    public function call(TaskInterface|array $job, callable $handler): mixed
    {
        if ($this->given === []) {
            return $handler($job);
        }
        $this->ready ??= array_map($this->resolver->resolve(...), $this->given);
        $next = $handler;
        foreach (array_reverse($this->ready) as $middleware) {
            $next = static fn (TaskInterface|array $job): mixed => $middleware($job, $next);
        }

        return $next($job);
    }
}
