<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

/** One broker of the matrix: its name in the test's data set, and where it is. */
final class Broker
{
    public function __construct(
        public readonly string $name,
        public readonly string $dsn,
    ) {
    }

    public function isRabbitMq(): bool
    {
        return str_starts_with($this->name, 'rabbitmq');
    }

    public function isEmbedded(): bool
    {
        return $this->name === 'embedded';
    }

    /** `host:port`, as an error message names it. */
    public function endpoint(): string
    {
        $parts = parse_url($this->dsn);

        return $parts['host'] . ':' . ($parts['port'] ?? 5672);
    }

    /** The same broker with other credentials. */
    public function withCredentials(string $user, string $password): string
    {
        $parts = parse_url($this->dsn);

        return sprintf('%s://%s:%s@%s%s', $parts['scheme'], rawurlencode($user), rawurlencode($password),
            $this->endpoint(), $parts['path'] ?? '');
    }
}
