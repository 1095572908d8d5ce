<?php

declare(strict_types=1);

namespace Amqp1\QueueInterop;

use Interop\Queue\ConnectionFactory as ConnectionFactoryInterface;

/** Makes contexts for a broker. It connects on first use. */
final class ConnectionFactory implements ConnectionFactoryInterface
{
    private readonly string $dsn;

    /** @var array<string, mixed> */
    private readonly array $options;

    /**
     * @param string|array<string, mixed> $config A DSN or connection string, as for new \Amqp1\AmqpQueue(); or an array with
     *     "dsn" and options of AmqpQueue, for every queue.
     */
    public function __construct(#[\SensitiveParameter] string|array $config = 'amqp1://guest:guest@localhost:5672')
    {
        $config = is_array($config) ? $config : ['dsn' => $config];
        $this->dsn = $config['dsn'] ?? 'amqp1://guest:guest@localhost:5672';
        $this->options = array_diff_key($config, ['dsn' => null]);
    }

    /** @return array<string, mixed> without the DSN, which may have a password */
    public function __debugInfo(): array
    {
        return ['options' => array_keys($this->options)];
    }

    public function createContext(): Context
    {
        return new Context($this->dsn, $this->options);
    }
}
