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
        /** @var list<string> */
        private readonly array $dsns,
        private readonly ?string $config,
        /** @var list<string> */
        private readonly array $names,
        /** @var array<string, mixed> */
        private readonly array $options,
    ) {
    }

    /**
     * @param bool $several Whether there may be several brokers without a configuration.
     *
     * @return list<Option>
     */
    public static function options(bool $several = false, string $timeout = '30'): array
    {
        return [
            new Option('config', 'FILE', 'YAML or JSON file with the pipelines (or set AMQP1_CONFIG)', 'c'),
            new Option('dsn', 'DSN', 'the broker, without a configuration (or set AMQP1_DSN, which other users cannot see)'
                . ($several ? '; may be repeated' : ''), null, $several),
            new Option('queue', 'NAME', 'the queue or pipeline; repeat the option or use commas for several', 'Q', true),
            new Option('timeout', 'SECONDS', "how long the broker may take to answer ($timeout)"),
        ];
    }

    /**
     * @param bool $declare Whether a queue that is missing may be declared: looking at one must not make it.
     *
     * @throws UsageError
     */
    public static function of(Input $input, bool $declare): self
    {
        $dsns = $input->list('dsn');
        $config = $input->string('config');
        if ($dsns !== [] && $config !== null) {
            throw new UsageError('--dsn and --config cannot be used together: a configuration names its own brokers');
        }
        if ($dsns === [] && $config === null) {
            $config = self::environment('AMQP1_CONFIG');
            $dsns = $config === null ? array_filter([self::environment('AMQP1_DSN')]) : [];
            $config ??= $dsns === [] ? ((string) ini_get('amqp1.config') ?: null) : null;
        }
        if ($dsns === [] && $config === null) {
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

        return new self(array_values(array_unique($dsns)), $config, array_values(array_unique($names)), $declare ? [] : ['declare' => false]);
    }

    /**
     * Those that are named, or all pipelines of the configuration.
     *
     * @return array<string, AmqpQueue> by name, never empty; with several brokers, by "name at host"
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
        foreach ($this->dsns as $index => $dsn) {
            foreach ($this->names as $name) {
                $queue = new AmqpQueue($dsn, $name, $this->options);
                $queues[count($this->dsns) === 1 ? $name : "$name at " . ($this->host($dsn) ?? 'broker ' . ($index + 1))] = $queue;
            }
        }

        return $queues;
    }

    /** Of a DSN that AmqpQueue has accepted; null: it must not be shown, or names the same hosts as another one. */
    private function host(string $dsn): ?string
    {
        $hosts = static fn (string $dsn): ?string
            => preg_match('#^Endpoint=sb://([\w.:-]+)|^[a-z0-9]+://(?:[^/?]*@)?([\w.:,\[\]-]+)(?:[/?]|$)#i', $dsn, $found) === 1
                ? ($found[2] ?? $found[1]) : null;
        $same = array_filter($this->dsns, static fn (string $other) => $hosts($other) === $hosts($dsn));

        return count($same) === 1 ? $hosts($dsn) : null;
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
            ? ['' => new AmqpQueue($this->dsns[0], null, $this->options)] : $this->queues();
    }

    /** @return list<string> without a configuration */
    public function dsns(): array
    {
        return $this->dsns;
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
