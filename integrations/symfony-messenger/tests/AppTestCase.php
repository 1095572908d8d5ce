<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\Brokers;
use Amqp1\Tests\Support\Child;
use PHPUnit\Framework\TestCase;

/** Symfony's own commands in the application of App/, as processes. */
abstract class AppTestCase extends TestCase
{
    protected Broker $broker;
    protected string $queue;
    protected string $var;

    /** @var array<string, string> */
    private array $environment = [];

    protected function setUp(): void
    {
        $this->queue = 'amqp1-symfony-' . bin2hex(random_bytes(5));
        $this->var = sys_get_temp_dir() . "/$this->queue";
        mkdir($this->var);
    }

    protected function tearDown(): void
    {
        $files = new \RecursiveIteratorIterator(
            new \RecursiveDirectoryIterator($this->var, \FilesystemIterator::SKIP_DOTS),
            \RecursiveIteratorIterator::CHILD_FIRST
        );
        foreach ($files as $file) {
            $file->isDir() ? rmdir((string) $file) : unlink((string) $file);
        }
        rmdir($this->var);
    }

    /** @return array<string, array{string}> Brokers of which each stands for its kind. */
    public static function brokers(): array
    {
        $names = array_intersect(Brokers::names(), ['program', 'servicebus', 'rabbitmq', 'rabbitmq-4.3']);

        return $names === [] ? ['none of AMQP1_TEST_BROKERS' => ['']] : array_combine($names, array_map(static fn ($name) => [$name], $names));
    }

    public static function dsn(Broker $broker): string
    {
        return preg_replace('~^amqp(s?)://~', 'amqp1$1://', $broker->dsn);
    }

    /**
     * The application on a broker.
     *
     * @param array<string, mixed> $options of the transport
     * @param array<string, mixed> $retry its retry strategy
     */
    protected function app(string $broker, array $options = [], array $retry = [], bool $failed = false, string $serializer = ''): void
    {
        if ($broker === '') {
            self::markTestSkipped('none of AMQP1_TEST_BROKERS');
        }
        $this->broker = Brokers::get($broker);
        $this->environment = [
            'APP_VAR' => $this->var,
            'APP_DSN' => self::dsn($this->broker),
            'APP_OPTIONS' => json_encode($options + (isset($options['queues']) ? [] : ['queue' => $this->queue])),
            'APP_RETRY' => json_encode($retry, JSON_FORCE_OBJECT),
            'APP_FAILED_OPTIONS' => $failed ? json_encode(['queue' => "$this->queue-failed"]) : '',
            'APP_SERIALIZER' => $serializer,
        ];
        $this->console('messenger:setup-transports');
    }

    protected function start(string ...$arguments): Child
    {
        return Child::command([...Child::phpCommand(), __DIR__ . '/console.php', ...$arguments, '--no-interaction'], $this->environment);
    }

    /** Runs a command to its end, which must be a good one. */
    protected function console(string ...$arguments): string
    {
        $child = $this->start(...$arguments);
        $code = $child->wait(240);
        self::assertSame(0, $code, implode(' ', $arguments) . ":\n" . $child->output());

        return $child->output();
    }

    /** @return list<string> what the handlers have written */
    protected function log(): array
    {
        $file = "$this->var/work.log";

        return is_file($file) ? file($file, FILE_IGNORE_NEW_LINES) : [];
    }

    protected function waitForLog(string $line, float $timeout = 20): void
    {
        $deadline = microtime(true) + $timeout;
        while (!in_array($line, array_map(static fn ($found) => substr($found, 0, strlen($line)), $this->log()), true)) {
            if (microtime(true) > $deadline) {
                self::fail("no '$line' within $timeout s, but:\n" . implode("\n", $this->log()));
            }
            usleep(10_000);
        }
    }

    protected function amqpQueue(string $suffix = ''): AmqpQueue
    {
        return new AmqpQueue($this->broker->dsn, $this->queue . $suffix);
    }

    /** Waits until a queue has so many messages: a broker's figures may come late. */
    protected function assertLeft(int $expected, ?AmqpQueue $queue = null): void
    {
        $queue ??= $this->amqpQueue();
        $deadline = microtime(true) + 10;
        while (($count = $queue->count()) !== $expected && microtime(true) < $deadline) {
            usleep(100_000);
        }
        self::assertSame($expected, $count, 'messages left in ' . $queue->getName());
    }
}
