<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\AuthenticationException;
use Amqp1\Exception\BatchException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Exception\TimeoutException;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Sockets;
use PHPUnit\Framework\Attributes\DataProvider;

/** Every failure has its type, comes in time, says where it happened, and reveals no secret. */
final class ErrorsTest extends ContractTestCase
{
    private const SECRET = 's3cr3t-p@ss/w0rd';

    public function testTheFamilyOfExceptions(): void
    {
        $runtime = ['Connection', 'Authentication', 'Timeout', 'Rejected', 'Unroutable', 'QueueNotFound', 'TaskLost',
            'Unsupported', 'Serialization', 'Batch'];
        foreach ($runtime as $name) {
            $class = "Amqp1\\Exception\\{$name}Exception";
            self::assertTrue(is_subclass_of($class, ExceptionInterface::class), $class);
            self::assertTrue(is_subclass_of($class, \RuntimeException::class), $class);
        }
        self::assertTrue(is_subclass_of(ConfigException::class, ExceptionInterface::class));
        self::assertTrue(is_subclass_of(ConfigException::class, \InvalidArgumentException::class));
        self::assertTrue(is_subclass_of(ExceptionInterface::class, \Throwable::class));
    }

    public function testExceptionsCanBeMadeByApplicationsTests(): void
    {
        $previous = new \LogicException('first');
        $made = new ConnectionException('as if', 5, $previous);

        self::assertSame(['as if', 5, $previous, __FILE__], [$made->getMessage(), $made->getCode(), $made->getPrevious(), $made->getFile()]);
    }

    public function testAnExceptionKnowsItsLineAndTrace(): void
    {
        $queue = new AmqpQueue('embedded://phpunit', 'q');
        $line = __LINE__ + 2;
        $thrown = $this->thrown(ConfigException::class, static function () use ($queue) {
            $queue->push('job', '', ['priority' => 1000]);
        });

        self::assertSame([__FILE__, $line], [$thrown->getFile(), $thrown->getLine()]);
        self::assertSame('push', $thrown->getTrace()[0]['function']);
        self::assertSame(AmqpQueue::class, $thrown->getTrace()[0]['class']);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testWrongCredentials(string $broker): void
    {
        $at = $this->broker($broker);
        $queue = new AmqpQueue($at->withCredentials('guest', self::SECRET), 'q', ['timeout' => 10]);
        $start = microtime(true);
        $thrown = $this->thrown(AuthenticationException::class, static fn () => $queue->push('job'));

        self::assertLessThan(9.0, microtime(true) - $start, 'refused at once, not dialled until the timeout');
        self::assertStringContainsString($at->endpoint(), $thrown->getMessage());
        self::assertStringContainsString('guest', $thrown->getMessage());
        self::assertStringNotContainsString(self::SECRET, (string) $thrown);

        $good = $this->queue($broker);
        $good->push('works');
        self::assertSame('works', $this->take($good)->getName());
    }

    public function testWrongCredentialsAtABrokerWithUsers(): void
    {
        $this->broker(isset(self::networked()['program']) ? 'program' : '');
        $program = ProgramBroker::start(['--user', 'worker:' . self::SECRET]);
        $address = parse_url($program->dsn, PHP_URL_HOST) . ':' . parse_url($program->dsn, PHP_URL_PORT);
        $good = new AmqpQueue("amqp://worker:" . rawurlencode(self::SECRET) . "@$address", 'q', ['timeout' => 10]);
        $good->push('job');
        self::assertSame(1, $good->count());
        foreach (["amqp://worker:wrong@$address", "amqp://stranger:wrong@$address", "amqp://$address"] as $dsn) {
            $queue = new AmqpQueue($dsn, 'q', ['timeout' => 10]);
            foreach ([static fn () => $queue->push('job'), static fn () => (new Consumer($queue))->waitTask(10)] as $do) {
                $thrown = $this->thrown(AuthenticationException::class, $do);
                self::assertStringContainsString($address, $thrown->getMessage());
                self::assertStringNotContainsString('wrong', $thrown->getMessage());
            }
        }
        $program->stop();
    }

    /** @return array<string, array{string, callable}> a call and an endpoint */
    public static function calls(): array
    {
        $calls = [
            'push' => static fn (AmqpQueue $queue) => $queue->push('job'),
            'count' => static fn (AmqpQueue $queue) => $queue->count(),
            'ping' => static fn (AmqpQueue $queue) => $queue->ping(),
            'setup' => static fn (AmqpQueue $queue) => $queue->setup(),
        ];
        $sets = [];
        foreach (['refused', 'silent'] as $endpoint) {
            foreach ($calls as $name => $call) {
                $sets["$endpoint, $name"] = [$endpoint, $call];
            }
        }

        return $sets;
    }

    /** @dataProvider calls */
    #[DataProvider('calls')]
    public function testAnUnreachableHostFailsWithinTheTimeoutAndIsNamed(string $endpoint, callable $call): void
    {
        [$held, $address] = $endpoint === 'silent' ? Sockets::silent() : [null, Sockets::refused()];
        $queue = new AmqpQueue("amqp://guest:" . rawurlencode(self::SECRET) . "@$address", 'orders', [
            'timeout' => 0.6,
            'redial_timeout' => 0.3,
        ]);
        $start = microtime(true);
        $thrown = $this->thrown(ExceptionInterface::class, static fn () => $call($queue));

        self::assertLessThan(4.0, microtime(true) - $start);
        self::assertTrue($thrown instanceof ConnectionException || $thrown instanceof TimeoutException, get_class($thrown));
        self::assertStringContainsString($address, $thrown->getMessage());
        self::assertStringNotContainsString(self::SECRET, (string) $thrown);
        unset($held);
    }

    public function testAWaitForJobsAtAnUnreachableHostEnds(): void
    {
        $address = Sockets::refused();
        $queue = new AmqpQueue("amqp://$address", 'orders', ['timeout' => 0.6, 'redial_timeout' => 0.3]);
        $start = microtime(true);
        try {
            self::assertNull((new Consumer($queue))->waitTask(1));
        } catch (ConnectionException | TimeoutException $thrown) {
            self::assertStringContainsString($address, $thrown->getMessage());
        }

        self::assertLessThan(5.0, microtime(true) - $start);
    }

    public function testABatchToAnUnreachableHostNamesEveryJob(): void
    {
        $address = Sockets::refused();
        $queue = new AmqpQueue("amqp://$address", 'orders', ['timeout' => 1, 'redial_timeout' => 0.3]);
        try {
            $queue->pushMany([['name' => 'a'], ['name' => 'b']]);
            self::fail('nothing was thrown');
        } catch (BatchException $thrown) {
            self::assertSame([0, 1], array_keys($thrown->getFailures()));
            self::assertSame([], $thrown->getConfirmedIds());
        } catch (ConnectionException | TimeoutException $thrown) {
            self::assertStringContainsString($address, $thrown->getMessage());
        }
    }

    public function testTheTimeoutOfPhpIniHolds(): void
    {
        [$held, $address] = Sockets::silent();
        $output = Child::run(<<<'PHP'
            $start = microtime(true);
            try {
                (new Amqp1\AmqpQueue('amqp://' . $argv[1], 'q'))->push('job');
            } catch (Amqp1\Exception\ExceptionInterface $e) {
                echo microtime(true) - $start < 5 ? 'in time' : 'late', ': ', $e->getMessage();
            }
            PHP, [$address], ['-d', 'amqp1.timeout=0.7']);

        self::assertStringStartsWith('in time: ', $output);
        self::assertStringContainsString($address, $output);
        unset($held);
    }

    public function testAHostThatDoesNotExist(): void
    {
        $queue = new AmqpQueue('amqp://no-such-host.invalid:5672', 'orders', ['timeout' => 2, 'redial_timeout' => 0.5]);
        $thrown = $this->thrown(ExceptionInterface::class, static fn () => $queue->push('job'));

        self::assertStringContainsString('no-such-host.invalid', $thrown->getMessage());
    }

    public function testAServerThatSpeaksSomethingElse(): void
    {
        [$server, $address] = Sockets::silent();
        $child = Child::php(
            '$q = new Amqp1\AmqpQueue("amqp://" . $argv[1], "q", ["timeout" => 3, "redial_timeout" => 0.5]);'
            . 'try { $q->push("job"); } catch (Amqp1\Exception\ExceptionInterface $e) { echo get_class($e), ": ", $e->getMessage(), "\n"; }',
            [$address]
        );
        $deadline = microtime(true) + 15;
        while (microtime(true) < $deadline && !str_contains($child->output(), "\n")) {
            $connection = @stream_socket_accept($server, 0.1);
            if ($connection !== false) {
                fwrite($connection, "HTTP/1.1 400 Bad Request\r\n\r\n");
                fclose($connection);
            }
        }

        self::assertSame(0, $child->wait(10));
        self::assertStringContainsString($address, $child->output());
    }

    public function testNoSecretAnywhere(): void
    {
        $output = Child::run(<<<'PHP'
            $dsn = 'amqp://user:' . rawurlencode($argv[2]) . '@' . $argv[1];
            $queue = new Amqp1\AmqpQueue($dsn, 'orders', ['timeout' => 0.5, 'redial_timeout' => 0.2]);
            $consumer = new Amqp1\Consumer($queue);
            var_dump($queue, $consumer);
            print_r($queue);
            var_export($queue instanceof Countable);
            echo json_encode($queue), "\n", print_r((array) $queue, true);
            foreach (['push' => fn () => $queue->push('job'), 'wrong' => fn () => new Amqp1\AmqpQueue($dsn, 'q', ['colour' => 1]),
                'port' => fn () => new Amqp1\AmqpQueue(str_replace($argv[1], 'host:99999', $dsn), 'q')] as $name => $do) {
                try {
                    $do();
                    echo "$name did not throw\n";
                } catch (Throwable $e) {
                    echo $e->getMessage(), "\n", $e, "\n", print_r($e->getTrace(), true);
                    var_dump($e);
                }
            }
            throw new Exception('uncaught', 1, $e);
            PHP, [Sockets::refused(), self::SECRET], ['-d', 'zend.exception_ignore_args=0', '-d', 'zend.exception_string_param_max_len=1000'], 255);

        self::assertStringContainsString('uncaught', $output);
        self::assertStringNotContainsString('did not throw', $output);
        foreach ([self::SECRET, rawurlencode(self::SECRET)] as $secret) {
            self::assertStringNotContainsString($secret, $output);
        }
    }

    public function testObjectsCannotBeSerializedOrCloned(): void
    {
        $queue = new AmqpQueue('embedded://phpunit', 'q');
        foreach (['serialize' => static fn () => serialize($queue), 'clone' => static fn () => clone $queue] as $name => $do) {
            try {
                $do();
                self::fail("$name went through");
            } catch (\Throwable $thrown) {
                self::assertNotInstanceOf(\PHPUnit\Framework\AssertionFailedError::class, $thrown, "$name went through");
            }
        }
    }
}
