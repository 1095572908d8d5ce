<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger;

use Symfony\Component\Messenger\Exception\InvalidArgumentException;

/**
 * A transport's options, from its DSN and its configuration, checked.
 *
 * @internal
 */
final class Options
{
    /** The transport's own options. `transport_name` comes from the framework. */
    public const TRANSPORT = ['auto_setup', 'consumer', 'queue', 'queues', 'reject', 'retry', 'transport_name', 'wait'];

    /** The extension's options of a queue. */
    public const QUEUE = [
        'arguments', 'backoff', 'bindings', 'consumer_timeout', 'container_id', 'content_encoding', 'content_type',
        'dead_letter_exchange', 'dead_letter_routing_key', 'declare', 'delay', 'dialect', 'durable', 'exchange',
        'exchange_type', 'exclusive', 'failed_queue', 'format', 'heartbeat', 'host_order', 'logger', 'max_attempts',
        'max_length', 'max_lock_renewal', 'max_priority', 'name', 'observer', 'overflow', 'prefetch', 'priority',
        'queue_type', 'redial_timeout', 'reply_to', 'requeue_on_fail', 'routing_key', 'single_active_consumer', 'timeout',
        'tls', 'token', 'ttl', 'user_id',
    ];

    /** The extension's options of a consumer, in the option `consumer`. */
    public const CONSUMER = [
        'auto_ack', 'backoff', 'consumer_timeout', 'failed_queue', 'max_attempts', 'prefetch', 'priority',
        'requeue_on_fail', 'session', 'timeout',
    ];

    /** Messenger sends a copy of a message that failed, by its retry strategy. */
    public const RETRY_MESSENGER = 'messenger';

    /** The broker delivers a message that failed again, by max_attempts and backoff. */
    public const RETRY_BROKER = 'broker';

    /** A rejected message is removed. */
    public const REJECT_DISCARD = 'discard';

    /** A rejected message goes to the failed queue. */
    public const REJECT_FAILED = 'failed';

    /** A rejected message is AMQP's "rejected": the broker dead-letters it. */
    public const REJECT_DEAD_LETTER = 'dead-letter';

    /**
     * @param array<string, array<string, mixed>> $queues The queues' options, by name; the first one is sent to.
     * @param array<string, mixed> $consumer
     */
    private function __construct(
        public readonly string $dsn,
        public readonly array $queues,
        public readonly array $consumer,
        public readonly string $retry,
        public readonly string $reject,
        public readonly float $wait,
    ) {
    }

    /** @return array<string, mixed> without the DSN and the options, which may have passwords */
    public function __debugInfo(): array
    {
        return ['queues' => array_keys($this->queues), 'retry' => $this->retry, 'reject' => $this->reject, 'wait' => $this->wait];
    }

    /**
     * @param array<string, mixed> $options
     *
     * @throws InvalidArgumentException
     */
    public static function from(#[\SensitiveParameter] string $dsn, #[\SensitiveParameter] array $options): self
    {
        [$dsn, $inDsn] = self::split($dsn);
        self::check($options, [...self::TRANSPORT, ...self::QUEUE], 'options');
        $own = array_intersect_key($options, array_flip(self::TRANSPORT)) + $inDsn;
        // null leaves an option at its default, as in the extension.
        $own = array_filter($own, static fn ($value) => $value !== null);
        $common = array_diff_key($options, array_flip(self::TRANSPORT));

        if (isset($own['auto_setup'])) {
            if (isset($common['declare'])) {
                throw new InvalidArgumentException('Set one of the options "auto_setup" and "declare": they are the same.');
            }
            $common['declare'] = $own['auto_setup'];
        }
        $consumer = $own['consumer'] ?? [];
        if (!is_array($consumer)) {
            throw new InvalidArgumentException('Option "consumer" must be an array of options of the consumer.');
        }
        self::check($consumer, self::CONSUMER, 'option "consumer"');
        $retry = self::oneOf('retry', $own['retry'] ?? self::RETRY_MESSENGER, [self::RETRY_MESSENGER, self::RETRY_BROKER]);

        return new self(
            $dsn,
            self::queues($dsn, $own, $common),
            $consumer,
            $retry,
            self::oneOf(
                'reject',
                $own['reject'] ?? ($retry === self::RETRY_BROKER ? self::REJECT_FAILED : self::REJECT_DISCARD),
                [self::REJECT_DISCARD, self::REJECT_FAILED, self::REJECT_DEAD_LETTER]
            ),
            self::seconds('wait', $own['wait'] ?? 0),
        );
    }

    /**
     * Takes the transport's own options out of the DSN's query, and leaves the extension's to the extension.
     *
     * @return array{string, array<string, mixed>}
     */
    private static function split(#[\SensitiveParameter] string $dsn): array
    {
        $at = self::isConnectionString($dsn) ? false : strpos($dsn, '?');
        if ($at === false) {
            return [$dsn, []];
        }
        if (str_contains(substr($dsn, $at), '@')) {
            // It may be the rest of a password with a raw "?", so the message repeats nothing of it.
            throw new InvalidArgumentException('DSN: unexpected "@" after "?"; percent-encode user, password, vhost and values (rawurlencode).');
        }
        $own = $rest = [];
        foreach (explode('&', substr($dsn, $at + 1)) as $pair) {
            if ($pair === '') {
                continue;
            }
            [$name, $value] = array_map('rawurldecode', explode('=', strtr($pair, ['+' => '%20']), 2)) + [1 => ''];
            $group = strtok($name, '.[');
            if ($name === 'queues') {
                $own['queues'] = explode(',', $value);
            } elseif (preg_match('/^consumer(?:\.([^.\[\]]+)|\[([^.\[\]]+)\])$/D', $name, $found) === 1) {
                $own['consumer'][end($found)] = $value;
            } elseif ($group === 'consumer') {
                throw new InvalidArgumentException('Option "consumer" in the DSN: expected consumer.NAME=VALUE, for example consumer.priority=5.');
            } elseif (in_array($name, self::TRANSPORT, true) && $name !== 'transport_name') {
                $own[$name] = $name === 'auto_setup' ? self::flag($name, $value) : $value;
            } else {
                self::check([$group => $value], [...self::TRANSPORT, ...self::QUEUE], 'DSN');
                $rest[] = $pair;
            }
        }

        return [substr($dsn, 0, $at) . ($rest === [] ? '' : '?' . implode('&', $rest)), $own];
    }

    public static function isConnectionString(#[\SensitiveParameter] string $dsn): bool
    {
        return preg_match('/^\s*[A-Za-z]+=[^;]*(;|$)/', $dsn) === 1 && preg_match('/(^|;)\s*Endpoint=/i', $dsn) === 1;
    }

    /**
     * @param array<string, mixed> $own
     * @param array<string, mixed> $common
     *
     * @return array<string, array<string, mixed>>
     */
    private static function queues(#[\SensitiveParameter] string $dsn, array $own, array $common): array
    {
        if (isset($own['queue'], $own['queues'])) {
            throw new InvalidArgumentException('Set one of the options "queue" and "queues".');
        }
        $entity = self::isConnectionString($dsn) && preg_match('/;\s*EntityPath=([^;]+)/i', $dsn, $match) === 1 ? trim($match[1]) : null;
        if (isset($own['queue']) && (!is_string($own['queue']) || $own['queue'] === '')) {
            throw new InvalidArgumentException(sprintf('Option "queue" must be the name of a queue, got %s.', $own['queue'] === '' ? 'an empty string' : get_debug_type($own['queue'])));
        }
        $queues = $own['queues'] ?? [$own['queue'] ?? $entity ?? 'messages'];
        if (!is_array($queues) || $queues === []) {
            throw new InvalidArgumentException('Option "queues" must be a list of names, or an array of names and their options.');
        }
        $named = [];
        foreach ($queues as $name => $options) {
            // As a list: only names. As a map: name and options.
            [$name, $options] = is_int($name) && is_string($options) ? [$options, []] : [(string) $name, $options ?? []];
            if ($name === '' || !is_array($options)) {
                throw new InvalidArgumentException('Option "queues" must be a list of names, or an array of names and their options.');
            }
            self::check($options, array_values(array_diff(self::QUEUE, ['name'])), sprintf('options of queue "%s"', $name));
            $named[$name] = $options + $common;
        }

        return $named;
    }

    /**
     * @param array<array-key, mixed> $options
     * @param list<string> $known
     */
    private static function check(array $options, array $known, string $where): void
    {
        $unknown = array_diff(array_keys($options), $known);
        if ($unknown !== []) {
            sort($known);
            throw new InvalidArgumentException(sprintf(
                'Unknown option found in the %s: [%s]. Allowed options are [%s].',
                $where,
                implode(', ', $unknown),
                implode(', ', array_diff($known, ['transport_name']))
            ));
        }
    }

    /** @param list<string> $values */
    private static function oneOf(string $option, mixed $value, array $values): string
    {
        if (!is_string($value) || !in_array($value, $values, true)) {
            throw new InvalidArgumentException(sprintf(
                'Option "%s" must be one of "%s", got %s.',
                $option,
                implode('", "', $values),
                is_string($value) ? "\"$value\"" : get_debug_type($value)
            ));
        }

        return $value;
    }

    private static function seconds(string $option, mixed $value): float
    {
        if (!is_numeric($value) || $value < 0 || !is_finite((float) $value)) {
            throw new InvalidArgumentException(sprintf('Option "%s" must be a number of seconds, 0 or more.', $option));
        }

        return (float) $value;
    }

    private static function flag(string $option, string $value): bool
    {
        return filter_var($value, \FILTER_VALIDATE_BOOL, \FILTER_NULL_ON_FAILURE)
            ?? throw new InvalidArgumentException(sprintf('Option "%s" must be true or false, got "%s".', $option, $value));
    }
}
