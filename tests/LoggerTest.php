<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ConnectionException;
use Amqp1\NullObserver;
use Amqp1\Observation\Push;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\ProgramBroker;
use Amqp1\Tests\Support\Proxy;
use Amqp1\Tests\Support\Sockets;
use PHPUnit\Framework\Attributes\DataProvider;

use function Amqp1\metrics;
use function Amqp1\setLogger;
use function Amqp1\setObserver;

/** What operators read: a loss is one warning, attempts are for developers, and no log affects a job. */
final class LoggerTest extends ContractTestCase
{
    protected function tearDown(): void
    {
        setLogger(null);
        setObserver(null);
        parent::tearDown();
    }

    /** @dataProvider networked */
    #[DataProvider('networked')]
    public function testALossIsOneWarningAndItsEndANotice(string $broker): void
    {
        $at = $this->broker($broker);
        $proxy = new Proxy($at);
        setLogger($logger = self::logger());
        $queue = new AmqpQueue($proxy->dsn, $this->uniqueName($at), ['timeout' => 20, 'container_id' => 'logged']);
        $queue->push('before');
        $proxy->refuse();
        $proxy->reset();
        $this->eventually(static fn () => $logger->at('warning') !== [], 'the loss is logged while PHP works');
        try {
            $queue->push('fails', null, ['timeout' => 1]);
        } catch (ConnectionException|\Amqp1\Exception\TimeoutException) {
        }
        $proxy->heal();
        $queue->push('after');

        self::assertCount(1, $logger->at('warning'));
        self::assertCount(1, $logger->at('notice'));
        self::assertGreaterThanOrEqual(2, count($logger->at('debug')), 'attempts');
        [$message, $context] = $logger->at('warning')[0];
        self::assertStringStartsWith('lost the connection to {endpoint}', $message);
        self::assertSame(['lost', 'push', 'connection'], [$context['event'], $context['role'], $context['error_kind']]);
        self::assertStringContainsString($proxy->address, $context['endpoint']);
        self::assertStringStartsWith('logged-push-', $context['container_id']);
        [$message, $context] = $logger->at('notice')[0];
        self::assertStringStartsWith('reconnected to {endpoint}', $message);
        self::assertGreaterThan(0, $context['seconds']);
        // Nobody's password is in a log.
        if (preg_match('#//[^:/@]*:([^@]+)@#', $proxy->dsn, $match)) {
            self::assertStringNotContainsString(":{$match[1]}@", json_encode($logger->lines));
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testARefusedLinkIsAnError(string $broker): void
    {
        $queue = $this->queue($broker, ['declare' => false, 'logger' => $logger = self::logger()], 'missing-' . bin2hex(random_bytes(4)));
        $consumer = $this->consumer($queue);
        $this->thrown(\Amqp1\Exception\QueueNotFoundException::class, static fn () => $consumer->waitTask(1));
        metrics(); // events that came with an exception wait for the next call

        [[$message, $context]] = $logger->at('error');
        self::assertStringContainsString('refused a link', $message);
        self::assertSame(['link_refused', $queue->getName(), 'consume', 'queue-not-found'], [
            $context['event'], $context['queue'], $context['role'], $context['error_kind'],
        ]);
    }

    public function testAQueuesLoggerTakesPrecedence(): void
    {
        $broker = ProgramBroker::start();
        setLogger($all = self::logger());
        $queue = new AmqpQueue($broker->dsn, 'q', ['logger' => $own = self::logger()]);
        $queue->push('job');
        self::assertSame([], $all->lines);
        self::assertSame(['connected'], array_column(array_column($own->at('info'), 1), 'event'));
        unset($queue);
        $this->thrown(ConnectionException::class, static fn () => (new AmqpQueue('amqp://' . Sockets::refused(), 'q'))->push('job'));
        metrics(); // events that came with an exception wait for the next call
        self::assertSame($all, setLogger(null));
        self::assertSame('connect_failed', $all->at('error')[0][1]['event']);
    }

    public function testWhatObserversAndLoggersThrowAffectsNothing(): void
    {
        setObserver(new class extends NullObserver {
            public function beforePush(Push $push): void
            {
                throw new \DomainException('not your job');
            }
        });
        setLogger($logger = self::logger());
        $queue = $this->queue('embedded');
        @$queue->push('job');
        [[$message, $context]] = $logger->at('error');
        self::assertSame('{error}', $message);
        self::assertStringContainsString('threw in beforePush(): DomainException: not your job', $context['error']);

        setLogger(new class {
            public function log(string $level, string $message, array $context): void
            {
                throw new \LogicException('the disk is full');
            }
        });
        @$queue->push('job');
        self::assertSame(2, $queue->count());
    }

    public function testAWorkerWithoutALoggerUsesTheProcesss(): void
    {
        $queue = $this->queue('embedded');
        $queue->push('job');
        setLogger($logger = self::logger());
        self::assertSame($logger, \Amqp1\getLogger());
        $fails = static fn () => throw new \RuntimeException('of the handler');
        (new \Amqp1\Worker($queue, ['job' => $fails], ['max_jobs' => 1]))->run();

        self::assertStringContainsString('of the handler', json_encode($logger->lines));
        setLogger(null);
        self::assertNull(\Amqp1\getLogger());
    }

    public function testWhatIsNoLoggerIsRefused(): void
    {
        self::assertNull(setLogger());
        $message = $this->thrown(ConfigException::class, static fn () => setLogger(new \stdClass()))->getMessage();
        self::assertSame('setLogger(): $logger: expected a PSR-3 logger (an object with a method log()), got stdClass', $message);
        $this->thrown(\TypeError::class, static fn () => setLogger('x'));
        $message = $this->thrown(ConfigException::class, static fn () => new AmqpQueue('embedded://', 'q', ['logger' => new \stdClass()]))->getMessage();
        self::assertStringContainsString("option 'logger': expected a PSR-3 logger", $message);
    }

    public function testALoggerMayPushAndExit(): void
    {
        $broker = ProgramBroker::start();
        $child = Child::php(<<<'PHP'
            Amqp1\setLogger(new class {
                public function log(string $level, string $message, array $context): void
                {
                    echo "$level {$context['event']}\n";
                    (new Amqp1\AmqpQueue($GLOBALS['argv'][1], 'logs'))->push($message, $context);
                    if ($context['event'] === 'connected') {
                        exit(7);
                    }
                }
            });
            (new Amqp1\AmqpQueue($argv[1], 'q'))->push('job');
            usleep(1000);
            echo 'went on';
            PHP, [$broker->dsn]);

        self::assertSame([7, "debug dialling\ninfo connected\n"], [$child->wait(), $child->output()]);
        self::assertSame(2, (new AmqpQueue($broker->dsn, 'logs'))->count());
    }

    public function testWithoutALoggerPhpIniNamesAFile(): void
    {
        $broker = ProgramBroker::start();
        $file = tempnam(sys_get_temp_dir(), 'amqp1-test-');
        $code = '(new Amqp1\AmqpQueue($argv[1], "q", ["timeout" => 1]))->push("job");';
        Child::run($code, [$broker->dsn], ['-d', "amqp1.log=$file", '-d', 'amqp1.log_level=debug']);
        Child::run($code, [$broker->dsn], ['-d', "amqp1.log=$file"]);
        Child::run('Amqp1\setLogger(new class { function log() {} });' . $code, [$broker->dsn], ['-d', "amqp1.log=$file", '-d', 'amqp1.log_level=debug']);
        Child::run($code, ['amqp://' . Sockets::refused()], ['-d', "amqp1.log=$file"], 255);
        $lines = array_map(static fn (string $line) => json_decode($line, true, 8, JSON_THROW_ON_ERROR), file($file));
        unlink($file);

        self::assertSame(['dialling', 'connected', 'connect_failed'], array_column($lines, 'event'));
        self::assertSame(['debug', 'info', 'error'], array_column($lines, 'level'));
        self::assertSame(['time', 'level', 'channel', 'message', 'pid'], array_slice(array_keys($lines[0]), 0, 5));
        self::assertEqualsWithDelta(microtime(true), (float) (new \DateTimeImmutable($lines[0]['time']))->format('U.u'), 60);
        self::assertStringStartsWith('connected to amqp://', $lines[1]['message']);
        self::assertStringNotContainsString('{', $lines[2]['message']);
    }

    public function testStderrIsALogAndABadFileAffectsNothing(): void
    {
        $broker = ProgramBroker::start();
        $code = 'echo strlen((new Amqp1\AmqpQueue($argv[1], "q"))->push("job")), "\n";';
        $output = Child::run($code, [$broker->dsn], ['-d', 'amqp1.log=stderr', '-d', 'amqp1.log_level=info']);
        self::assertStringContainsString('"event":"connected"', $output);
        self::assertSame("36\n", Child::run($code, [$broker->dsn], ['-d', 'amqp1.log=/nonexistent/file', '-d', 'amqp1.log_level=debug']));
        $output = Child::run('var_dump(ini_set("amqp1.log", "x"), ini_set("amqp1.log_level", "debug"), ini_get("amqp1.log_level"));', [], ['-d', 'amqp1.log_level=loud']);
        self::assertStringContainsString("amqp1.log_level: expected one of debug, info, notice, warning, error, got 'loud'", $output);
        self::assertStringContainsString("bool(false)\nbool(false)\nstring(6) \"notice\"", $output);
    }

    private static function logger(): object
    {
        return new class {
            /** @var list<array{string, string, array<string, mixed>}> */
            public array $lines = [];

            public function log(string $level, string $message, array $context): void
            {
                $this->lines[] = [$level, $message, $context];
            }

            /** @return list<array{string, array<string, mixed>}> */
            public function at(string $level): array
            {
                $lines = array_filter($this->lines, static fn (array $line) => $line[0] === $level);

                return array_values(array_map(static fn (array $line) => [$line[1], $line[2]], $lines));
            }
        };
    }
}
