<?php

declare(strict_types=1);

namespace Amqp1\Laravel;

use InvalidArgumentException;

/**
 * The settings of a queue connection, as config/queue.php has them. What this package does not know is an option of
 * Amqp1\AmqpQueue, which knows all of them and refuses any other.
 */
final class Configuration
{
    private const ADDRESS = ['scheme', 'hosts', 'host', 'port', 'user', 'password', 'vhost'];

    private const CONSUMER = ['priority', 'session', 'consumer_timeout'];

    /** What would contradict Laravel's own settings, and the way to say it in Laravel. */
    private const LARAVELS = [
        'retry_after' => 'a job is delivered again when its worker or its connection ends, not after a time; remove it',
        'max_attempts' => "Laravel counts attempts; use queue:work's --tries or a job's \$tries",
        'backoff' => "Laravel decides on pauses; use queue:work's --backoff or a job's \$backoff",
        'requeue_on_fail' => "Laravel decides what fails; use queue:work's --tries=0",
    ];

    /**
     * @param float $blockFor how long pop() waits for a job, in seconds
     * @param array<string, mixed> $options of Amqp1\AmqpQueue
     * @param array<string, array<string, mixed>> $queues options of single queues, by name
     * @param array<string, mixed> $consumer options of Amqp1\Consumer
     * @param class-string<Amqp1Job> $job
     */
    private function __construct(
        #[\SensitiveParameter] public readonly string $dsn,
        public readonly string $queue,
        public readonly bool $afterCommit,
        public readonly float $blockFor,
        public readonly int $prefetch,
        #[\SensitiveParameter] public readonly array $options,
        #[\SensitiveParameter] public readonly array $queues,
        public readonly array $consumer,
        public readonly string $job,
    ) {
    }

    /**
     * @param array<string, mixed> $config
     *
     * @throws InvalidArgumentException
     */
    public static function of(#[\SensitiveParameter] array $config): self
    {
        $own = ['driver', 'dsn', 'queue', 'after_commit', 'block_for', 'prefetch', 'queues', 'consumer', 'job', ...self::ADDRESS];
        $options = self::withoutLaravels(array_diff_key($config, array_flip($own)));
        $queues = $config['queues'] ?? [];
        foreach (is_array($queues) ? $queues : [null] as $name => $ofOne) {
            is_array($ofOne) || throw self::wrong('queues', 'an array: queue name => options', $queues);
            $queues[$name] = self::withoutLaravels($ofOne);
        }
        $consumer = $config['consumer'] ?? [];
        if (!is_array($consumer) || array_diff_key($consumer, array_flip(self::CONSUMER)) !== []) {
            throw self::wrong('consumer', 'an array with ' . implode(', ', self::CONSUMER), $consumer);
        }
        $job = $config['job'] ?? Amqp1Job::class;
        if (!is_string($job) || !is_a($job, Amqp1Job::class, true)) {
            throw self::wrong('job', 'a class that extends ' . Amqp1Job::class, $job);
        }

        return new self(
            self::dsn($config),
            self::text($config, 'queue') ?? 'default',
            (bool) ($config['after_commit'] ?? false),
            (float) self::number($config, 'block_for', 0, 'seconds, 0 or more'),
            self::prefetch($config),
            $options,
            $queues,
            $consumer,
            $job,
        );
    }

    /**
     * The options of one queue. Laravel counts attempts, so the extension ends no job by itself.
     *
     * @return array<string, mixed>
     */
    public function optionsOf(string $queue): array
    {
        return ['max_attempts' => 0] + ($this->queues[$queue] ?? []) + $this->options;
    }

    /** @return array<string, mixed> without the DSN, which may have a password */
    public function __debugInfo(): array
    {
        return ['queue' => $this->queue, 'prefetch' => $this->prefetch, 'blockFor' => $this->blockFor];
    }

    private static function dsn(#[\SensitiveParameter] array $config): string
    {
        $dsn = self::text($config, 'dsn');
        $parts = array_filter(array_intersect_key($config, array_flip(self::ADDRESS)), static fn ($part) => $part !== null && $part !== '');
        if ($dsn !== null && $parts !== []) {
            throw new InvalidArgumentException("queue connection of driver 'amqp1': it has a dsn, and also "
                . implode(', ', array_keys($parts)) . '; remove one of them');
        }
        if ($dsn !== null) {
            return $dsn;
        }
        $hosts = $parts['hosts'] ?? $parts['host'] ?? null;
        $hosts = is_string($hosts) ? explode(',', $hosts) : $hosts;
        if (!is_array($hosts) || $hosts === [] || array_filter($hosts, 'is_string') !== $hosts) {
            throw new InvalidArgumentException("queue connection of driver 'amqp1': no broker is named. Set AMQP1_DSN in .env"
                . " (amqp://user:password@host:5672, or a connection string of Service Bus), or 'dsn' or 'hosts' in config/queue.php");
        }
        foreach (['scheme', 'port', 'user', 'password', 'vhost'] as $name) {
            if (!is_scalar($parts[$name] ?? '')) {
                throw self::wrong($name, $name === 'port' ? 'a number' : 'a string', null);
            }
        }
        $port = isset($parts['port']) ? ":$parts[port]" : '';
        $hosts = array_map(static function (string $host) use ($port): string {
            $host = trim($host);
            $host = filter_var($host, FILTER_VALIDATE_IP, FILTER_FLAG_IPV6) === false ? $host : "[$host]";

            return $host . (preg_match('/:\d+$/D', $host) === 1 ? '' : $port);
        }, $hosts);
        $user = isset($parts['user']) ? rawurlencode((string) $parts['user']) : '';
        $user .= isset($parts['password']) ? ':' . rawurlencode((string) $parts['password']) : '';
        $vhost = isset($parts['vhost']) && $parts['vhost'] !== '/' ? '/' . rawurlencode((string) $parts['vhost']) : '';

        return ($parts['scheme'] ?? (empty($config['tls']) ? 'amqp' : 'amqps')) . '://' . ($user === '' ? '' : "$user@")
            . implode(',', $hosts) . $vhost;
    }

    /**
     * @param array<string, mixed> $options
     *
     * @return array<string, mixed>
     */
    private static function withoutLaravels(#[\SensitiveParameter] array $options): array
    {
        foreach (self::LARAVELS as $name => $instead) {
            if (isset($options[$name])) {
                throw new InvalidArgumentException("queue connection of driver 'amqp1': option '$name' is not for Laravel: $instead");
            }
            unset($options[$name]);
        }

        return $options;
    }

    private static function text(#[\SensitiveParameter] array $config, string $name): ?string
    {
        $value = $config[$name] ?? '';

        return is_string($value) ? ($value === '' ? null : $value) : throw self::wrong($name, 'a string', null);
    }

    private static function prefetch(#[\SensitiveParameter] array $config): int
    {
        $value = self::number($config, 'prefetch', 1, 'a whole number from 1 to 65535');

        return $value <= 65535 && $value == (int) $value ? (int) $value
            : throw self::wrong('prefetch', 'a whole number from 1 to 65535', $value);
    }

    private static function number(#[\SensitiveParameter] array $config, string $name, int $least, string $expected): int|float
    {
        $value = $config[$name] ?? $least;

        return is_numeric($value) && $value >= $least ? $value + 0 : throw self::wrong($name, $expected, $value);
    }

    private static function wrong(string $name, string $expected, mixed $value): InvalidArgumentException
    {
        $found = match (true) {
            $value === null => '',
            is_array($value) => ', found an array with ' . (implode(', ', array_keys($value)) ?: 'nothing'),
            default => ', found ' . (is_scalar($value) ? var_export($value, true) : get_debug_type($value)),
        };

        return new InvalidArgumentException("queue connection of driver 'amqp1': $name must be $expected$found");
    }
}
