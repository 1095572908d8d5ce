<?php

declare(strict_types=1);

namespace Amqp1\Command;

use Amqp1\AmqpQueue;
use Amqp1\Console\Input;
use Amqp1\Console\Option;
use Amqp1\Console\Suggestion;
use Amqp1\Console\UsageError;
use Amqp1\Jobs;

/**
 * The queues that a command line means: a configuration's pipelines, or a queue at a DSN.
 *
 * --dsn and --config go first, then the environment (AMQP1_CONFIG, AMQP1_DSN), then amqp1.config in php.ini.
 *
 * @internal
 */
final class Target
{
    private function __construct(
        private readonly ?string $dsn,
        private readonly ?string $config,
        /** @var list<string> */
        private readonly array $names,
        /** @var array<string, mixed> */
        private readonly array $options,
    ) {
    }

    /** @return list<Option> */
    public static function options(): array
    {
        return [
            new Option('config', 'FILE', 'YAML or JSON file with the pipelines (or set AMQP1_CONFIG)', 'c'),
            new Option('dsn', 'DSN', 'the broker, without a configuration (or set AMQP1_DSN, which other users cannot see)'),
            new Option('queue', 'NAME', 'the queue or pipeline; repeat the option or use commas for several', 'Q', true),
            new Option('timeout', 'SECONDS', 'how long the broker may take to answer (30)'),
        ];
    }

    /**
     * @param bool $declare Whether a queue that is missing may be declared: looking at one must not make it.
     *
     * @throws UsageError
     */
    public static function of(Input $input, bool $declare): self
    {
        $dsn = $input->string('dsn');
        $config = $input->string('config');
        if ($dsn !== null && $config !== null) {
            throw new UsageError('--dsn and --config cannot be used together: a configuration names its own brokers');
        }
        if ($dsn === null && $config === null) {
            $config = self::environment('AMQP1_CONFIG');
            $dsn = $config === null ? self::environment('AMQP1_DSN') : null;
            $config ??= $dsn === null ? ((string) ini_get('amqp1.config') ?: null) : null;
        }
        if ($dsn === null && $config === null) {
            throw new UsageError('No broker given: set AMQP1_DSN (or --dsn) and name a --queue, or give a --config'
                . ' (or AMQP1_CONFIG)');
        }
        if ($config !== null && !is_file($config)) {
            throw new UsageError("The configuration file $config does not exist");
        }
        $timeout = $input->seconds('timeout');
        if ($timeout !== null) {
            ini_set('amqp1.timeout', (string) $timeout);
        }
        $names = [];
        foreach ($input->list('queue') as $list) {
            array_push($names, ...array_filter(array_map('trim', explode(',', $list)), static fn ($name) => $name !== ''));
        }

        return new self($dsn, $config, array_values(array_unique($names)), $declare ? [] : ['declare' => false]);
    }

    /**
     * Those that are named, or all pipelines of the configuration.
     *
     * @return array<string, AmqpQueue> by name, never empty
     */
    public function queues(): array
    {
        if ($this->config !== null) {
            return $this->pipelines();
        }
        if ($this->names === []) {
            throw new UsageError('No queue given: name one with --queue NAME');
        }
        $queues = [];
        foreach ($this->names as $name) {
            $queues[$name] = new AmqpQueue((string) $this->dsn, $name, $this->options);
        }

        return $queues;
    }

    public function queue(): AmqpQueue
    {
        $queues = $this->queues();
        if (count($queues) > 1) {
            throw new UsageError('This command needs exactly one queue: --queue ' . implode(' or --queue ', array_keys($queues)));
        }

        return reset($queues);
    }

    /** Somewhere at the broker, when it does not matter which queue. */
    public function any(): array
    {
        return $this->config === null && $this->names === []
            ? ['' => new AmqpQueue((string) $this->dsn, null, $this->options)] : $this->queues();
    }

    /** What a worker serves: without --queue, what the configuration says under "consume". */
    public function consumed(): array|Jobs
    {
        return $this->config !== null && $this->names === [] ? new Jobs($this->config) : array_values($this->queues());
    }

    /** @return array<string, AmqpQueue> */
    private function pipelines(): array
    {
        $all = iterator_to_array(new Jobs($this->config));
        if ($this->names === []) {
            return $all !== [] ? $all : throw new UsageError("$this->config defines no pipelines");
        }
        $queues = [];
        foreach ($this->names as $name) {
            $queues[$name] = $all[$name] ?? throw new UsageError("$this->config has no pipeline \"$name\""
                . (Suggestion::for($name, array_keys($all)) ?: '; it defines ' . implode(', ', array_keys($all))));
        }

        return $queues;
    }

    private static function environment(string $name): ?string
    {
        $value = getenv($name);

        return $value === false || $value === '' ? null : $value;
    }
}
