<?php

// Amqp1\Jobs: see amqp1.stub.php.

namespace Amqp1;

/**
 * The pipelines of a configuration in RoadRunner's shape: each is an AmqpQueue by name.
 *
 * Connects to nothing before a queue is used. It cannot be cloned or serialized, and
 * shows nothing of its configuration in var_dump() or traces.
 *
 * `foreach ($jobs as $name => $queue)` walks over all pipelines of the driver "amqp1".
 *
 * @phpstan-import-type Broker from AmqpQueue
 *
 * @implements \IteratorAggregate<string, AmqpQueue>
 */
final class Jobs implements \IteratorAggregate, \Countable
{
    /**
     * Reads and checks a configuration. The keys are those of docs/configuration.md.
     *
     * Strings may have ${VARIABLE} and ${VARIABLE:-default}, from the process's
     * environment, $_ENV or $_SERVER. A file is parsed again only when it has changed.
     *
     * A key that the broker cannot honour is an E_WARNING, once a process.
     *
     * @param array<string, mixed>|string|null $config An array; the path of a YAML or JSON
     *     file (.yaml, .yml, .json; anything else by its content), 1 MiB at the most; or
     *     null for the file that AMQP1_CONFIG in the environment names, or amqp1.config in
     *     php.ini where that is not set. Left out of traces.
     *
     * @throws Exception\ConfigException no configuration, a file that cannot be read, or a
     *     wrong value, with the path of its key; an unknown key names the nearest known one
     * @throws \Error when it is called again on an object that has been made
     */
    public function __construct(#[\SensitiveParameter] array|string|null $config = null)
    {
    }

    /**
     * The queue of a pipeline; getName() is the pipeline's name. Connects on first use.
     *
     * @throws Exception\ConfigException no such pipeline (the nearest one is named), one of
     *     another driver, no address, a TLS file that cannot be used
     */
    public function create(string $pipeline): AmqpQueue
    {
    }

    /**
     * The same as create().
     *
     * @throws Exception\ConfigException as create()
     */
    public function connect(string $pipeline): AmqpQueue
    {
    }

    /**
     * Has the consumers of this object's queues leave pipelines alone: they ask for no more
     * of their jobs, and give back those that were not handed out. Other consumers go on,
     * also those of another Jobs object and of other processes.
     *
     * @param string ...$pipelines At least one.
     *
     * @throws Exception\ConfigException as create(); nothing is paused then
     */
    public function pause(string ...$pipelines): void
    {
    }

    /**
     * Has consumers serve pipelines again; a wait under way notices within 50 ms.
     *
     * @param string ...$pipelines At least one.
     *
     * @throws Exception\ConfigException as create(); nothing is resumed then
     */
    public function resume(string ...$pipelines): void
    {
    }

    /**
     * The figures of each pipeline, as AmqpQueue::stats() gives them. Where there are none,
     * all are null and "error" says why; a broker that cannot be reached is asked once.
     *
     * @return array<string, array{
     *     active: int<0, max>|null,
     *     delayed: int<0, max>|null,
     *     ready: int<0, max>|null,
     *     reserved: int<0, max>|null,
     *     consumers: int<0, max>|null,
     *     broker: Broker|null,
     *     error?: string,
     * }> by pipeline
     */
    public function stats(): array
    {
    }

    /**
     * Whether there are pipelines and the brokers of all of them answer, each within its timeout.
     */
    public function isAvailable(): bool
    {
    }

    /**
     * How many pipelines of the driver "amqp1" there are.
     *
     * @return int<0, max>
     */
    public function count(): int
    {
    }

    /**
     * Pipeline name => queue, in the configuration's order.
     *
     * @return \Iterator<string, AmqpQueue>
     *
     * @throws Exception\ConfigException as create()
     */
    public function getIterator(): \Iterator
    {
    }
}
