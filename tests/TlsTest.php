<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\Exception\AuthenticationException;
use Amqp1\Exception\ConfigException;
use Amqp1\Exception\ConnectionException;
use Amqp1\Exception\TaskLostException;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\Certificates;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use Amqp1\Tests\Support\Proxy;
use Amqp1\Tests\Support\Sockets;
use Amqp1\Tests\Support\TlsPeer;
use PHPUnit\Framework\Attributes\DataProvider;

/** TLS works, verifies, and says clearly what is wrong. */
final class TlsTest extends ContractTestCase
{
    /** The broker's TLS address, and the name of a queue for this test. */
    private function tlsAt(string $broker): array
    {
        $plain = $this->broker($broker);
        $variable = 'AMQP1_TEST_' . strtoupper(strtr($broker, ['-' => '_', '.' => ''])) . '_TLS';
        $dsn = getenv($variable);
        if (!$dsn) {
            Ctl::reaches($plain) || self::markTestSkipped("$variable is not set");
            self::fail("$variable is not set: was the broker started before it had TLS? scripts/brokers stop, start");
        }

        return [$dsn, $this->uniqueName($plain)];
    }

    private static function withoutCredentials(string $dsn): string
    {
        return preg_replace('~//[^@]*@~', '//', $dsn);
    }

    /** @param array<string, mixed> $tls */
    private function refusal(string $dsn, array $tls, string $class = ConnectionException::class, float $timeout = 1): string
    {
        $thrown = $this->thrown($class, static function () use ($dsn, $tls, $timeout) {
            (new AmqpQueue($dsn, 'q', ['timeout' => $timeout] + ($tls === [] ? [] : ['tls' => $tls])))->push('job');
        });
        self::assertStringNotContainsString('guest:guest', (string) $thrown);

        return $thrown->getMessage();
    }

    /** @param array<string, mixed> $tls */
    private function assertWorks(string $dsn, string $name, array $tls): AmqpQueue
    {
        $queue = new AmqpQueue($dsn, $name, ['timeout' => 20, 'tls' => $tls]);
        $queue->push('over TLS', ['n' => 1]);
        self::assertSame(['n' => 1], $this->take($queue)->getPayload());

        return $queue;
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAPrivateCa(string $broker): void
    {
        [$dsn, $name] = $this->tlsAt($broker);
        $this->assertWorks($dsn, $name, ['root_ca' => Certificates::path('ca.pem')]);
        $this->assertWorks(str_replace('127.0.0.1', 'localhost', $dsn), $name, ['root_ca' => Certificates::path('ca.pem')]);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTheDsnsQueryNamesTheFiles(string $broker): void
    {
        [$dsn, $name] = $this->tlsAt($broker);
        $queue = new AmqpQueue("$dsn?timeout=20&tls.root_ca=" . rawurlencode(Certificates::path('ca.pem')), $name);
        $queue->push('job');

        self::assertSame('job', $this->take($queue)->getName());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTheSystemsRoots(string $broker): void
    {
        [$dsn, $name] = $this->tlsAt($broker);
        $code = <<<'PHP'
            try {
                $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20]);
                $queue->push('job');
                echo $queue->count(), "\n";
            } catch (Amqp1\Exception\ExceptionInterface $e) {
                echo get_class($e), ': ', $e->getMessage(), "\n";
            }
            PHP;
        $with = static function (string $file) use ($code, $dsn, $name): string {
            $child = Child::command([...Child::phpCommand(), '-r', $code, $dsn, $name],
                ['SSL_CERT_FILE' => $file, 'SSL_CERT_DIR' => '/nowhere']);
            $child->wait(30);

            return trim($child->output());
        };

        self::assertSame('1', $with(Certificates::path('ca.pem')));
        $unknown = $with(Certificates::path('other-ca.pem'));
        self::assertStringContainsString('ConnectionException', $unknown);
        self::assertStringContainsString('unknown issuer', $unknown);
        self::assertStringContainsString('set tls.root_ca', $unknown);
        self::assertStringContainsString('the system has no CA certificates', $with('/nowhere/roots.pem'));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAClientCertificateLogsIn(string $broker): void
    {
        [$dsn, $name] = $this->tlsAt($broker);
        $tls = ['root_ca' => Certificates::path('ca.pem')] + Certificates::pair('client');
        $this->assertWorks(self::withoutCredentials($dsn), $name, $tls);
        if (Ctl::reaches($this->broker($broker))) {
            $users = Ctl::table($this->broker($broker), 'list_connections', 'user', 'auth_mechanism', 'ssl');
            self::assertContains(['amqp1-client', 'EXTERNAL', 'true'], $users);
        }
        $stranger = ['root_ca' => Certificates::path('ca.pem')] + Certificates::pair('stranger');
        self::assertStringContainsString('does a user with the name in the certificate exist?',
            $this->refusal(self::withoutCredentials($dsn), $stranger, AuthenticationException::class, 10));
        // If there is also a password, the password logs in.
        $this->assertWorks($dsn, $name, $tls);
        $wrong = str_replace('guest:guest', 'guest:wrong', $dsn);
        self::assertStringContainsString('check user and password', $this->refusal($wrong, $tls, AuthenticationException::class, 10));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAnyCertificateWillDoWhenNobodyLooks(string $broker): void
    {
        [$dsn, $name] = $this->tlsAt($broker);
        $this->assertWorks($dsn, $name, ['insecure_skip_verify' => true]);
        // This does not hold for a connection to the same address with other options.
        self::assertStringContainsString('unknown issuer', $this->refusal($dsn, ['root_ca' => Certificates::path('other-ca.pem')]));
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTenMegabytes(string $broker): void
    {
        [$dsn, $name] = $this->tlsAt($broker);
        $queue = new AmqpQueue($dsn, $name, ['timeout' => 30, 'tls' => ['root_ca' => Certificates::path('ca.pem')]]);
        $payload = random_bytes(10 * 1024 * 1024);
        $queue->push('large', $payload);

        self::assertTrue($payload === $this->take($queue, 30)->getPayload(), 'the same bytes');
    }

    /**
     * The end of a job may already be decrypted when PHP has read what it reads at a time. The socket does not tell of it.
     *
     * @dataProvider rabbitMq
     */
    #[DataProvider('rabbitMq')]
    public function testTheEndOfALargeJobIsNotLeftInTls(string $broker): void
    {
        [$dsn, $name] = $this->tlsAt($broker);
        $queue = new AmqpQueue($dsn, $name, ['timeout' => 20, 'tls' => ['root_ca' => Certificates::path('ca.pem')]]);
        $consumer = new Consumer([$queue], ['prefetch' => 1]);
        for ($size = 250_000; $size < 290_000; $size += 1_000) {
            $payload = str_repeat('x', $size);
            $queue->push('large', $payload);
            $start = microtime(true);
            $job = $consumer->waitTask(20);
            self::assertSame([$size, md5($payload)], [strlen((string) $job?->getBody()), md5((string) $job?->getBody())]);
            $job->ack();
            self::assertLessThan(5, microtime(true) - $start, "$size bytes");
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testFiveThousandJobs(string $broker): void
    {
        [$dsn, $name] = $this->tlsAt($broker);
        $queue = new AmqpQueue($dsn, $name, ['timeout' => 60, 'prefetch' => 500, 'tls' => ['root_ca' => Certificates::path('ca.pem')]]);
        $jobs = array_map(static fn (int $n) => ['name' => "job $n", 'payload' => str_repeat((string) $n, 100)], range(1, 5000));
        self::assertCount(5000, array_unique($queue->pushMany($jobs)));
        $consumer = $this->consumer($queue);
        for ($n = 1; $n <= 5000; ++$n) {
            $task = $this->next($consumer, 20);
            self::assertSame(["job $n", str_repeat((string) $n, 100)], [$task->getName(), $task->getPayload()]);
            $task->ack();
        }
        $consumer->close();
        self::assertSame(0, $queue->count());
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testParentAndChildGoOnAfterAFork(string $broker): void
    {
        [$dsn, $name] = $this->tlsAt($broker);
        $output = Child::run(<<<'PHP'
            $queue = new Amqp1\AmqpQueue($argv[1], $argv[2], ['timeout' => 20, 'tls' => ['root_ca' => $argv[3]]]);
            $queue->push('held by the parent');
            $consumer = new Amqp1\Consumer($queue);
            $task = $consumer->waitTask(10);
            for ($i = 0; $i < 2; ++$i) {
                $pid = pcntl_fork();
                if ($pid === 0) {
                    $queue->push("by child $i");
                    exit(0);
                }
                $queue->push("by the parent $i");
                pcntl_waitpid($pid, $status);
                echo 'child: ', pcntl_wexitstatus($status), "\n";
            }
            $task->ack();
            $names = [];
            while ($task = $consumer->waitTask(count($names) < 4 ? 10 : 0.3)) {
                $names[] = $task->getName();
                $task->ack();
            }
            sort($names);
            echo json_encode($names), ' ', $queue->count(), "\n";
            PHP, [$dsn, $name, Certificates::path('ca.pem')]);

        self::assertSame("child: 0\nchild: 0\n"
            . json_encode(['by child 0', 'by child 1', 'by the parent 0', 'by the parent 1']) . " 0\n", $output);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testALostConnectionIsMadeAgainAndNothingIsLost(string $broker): void
    {
        [$dsn, $name] = $this->tlsAt($broker);
        $proxy = new Proxy(new Broker($broker, $dsn));
        $tls = ['root_ca' => Certificates::path('ca.pem')];
        $queue = new AmqpQueue($proxy->dsn, $name, ['timeout' => 20, 'tls' => $tls]);
        $ids = [$queue->push('before')];
        $consumer = $this->consumer($queue);
        $held = $this->next($consumer);
        foreach (['cut', 'reset'] as $how) {
            $proxy->$how();
            $ids = [...$ids, ...$queue->pushMany(array_fill(0, 50, ['name' => $how]))];
        }
        $this->thrown(TaskLostException::class, static fn () => $held->ack());
        $done = [];
        while (count($done) < 101) {
            $task = $this->next($consumer, 20);
            $done[$task->getId()] = true;
            $task->ack();
        }

        self::assertEqualsCanonicalizing($ids, array_keys($done));
        self::assertGreaterThanOrEqual(4, $proxy->counts()['accepted']);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAnotherCa(string $broker): void
    {
        [$dsn] = $this->tlsAt($broker);
        $other = Certificates::path('other-ca.pem');
        $message = $this->refusal($dsn, ['root_ca' => $other]);

        self::assertStringContainsString('unknown issuer', $message);
        self::assertStringContainsString($other, $message);
        self::assertStringContainsString('amqps://guest@127.0.0.1:', $message);
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testTlsAndPlainMixedUp(string $broker): void
    {
        [$dsn] = $this->tlsAt($broker);
        $plain = $this->broker($broker)->endpoint();
        self::assertStringContainsString('does not speak TLS on this port',
            $this->refusal("amqps://guest:guest@$plain", ['root_ca' => Certificates::path('ca.pem')]));
        self::assertStringContainsString('expects TLS on this port: use amqps://', $this->refusal(strtr($dsn, ['amqps:' => 'amqp:']), []));
    }

    public function testAnExpiredCertificate(): void
    {
        $peer = TlsPeer::start('expired');
        $message = $this->refusal("amqps://guest:guest@localhost:$peer->port", ['root_ca' => Certificates::path('ca.pem')]);

        self::assertMatchesRegularExpression("~localhost:$peer->port.*certificate has expired \d+ days ago~", $message);
    }

    public function testACertificateForAnotherHost(): void
    {
        $peer = TlsPeer::start('elsewhere');
        foreach (['localhost', '127.0.0.1'] as $host) {
            self::assertStringContainsString("the broker's certificate is not valid for '$host', only for elsewhere.example",
                $this->refusal("amqps://guest:guest@$host:$peer->port", ['root_ca' => Certificates::path('ca.pem')]));
        }
        // Nothing is verified: it gets past TLS, and waits for a peer that sends nothing.
        self::assertStringNotContainsString('certificate',
            $this->refusal("amqps://guest:guest@localhost:$peer->port", ['insecure_skip_verify' => true]));
    }

    public function testTheServerIsToldTheNameOfTheHost(): void
    {
        $named = Certificates::pair('server');
        $peer = TlsPeer::start('elsewhere', ['-servername', 'localhost', '-cert2', $named['cert'], '-key2', $named['key']]);
        $tls = ['root_ca' => Certificates::path('ca.pem')];

        self::assertStringNotContainsString('certificate', $this->refusal("amqps://guest:guest@localhost:$peer->port", $tls));
        // An address is not a server name, so the server sends its default certificate.
        self::assertStringContainsString('elsewhere.example', $this->refusal("amqps://guest:guest@127.0.0.1:$peer->port", $tls));
    }

    /** @return array<string, array{string}> */
    public static function versions(): array
    {
        return ['TLS 1.2' => ['-tls1_2'], 'TLS 1.3' => ['-tls1_3']];
    }

    /** @dataProvider versions */
    #[DataProvider('versions')]
    public function testAMissingClientCertificate(string $version): void
    {
        $peer = TlsPeer::thatWantsACertificate($version);
        $dsn = "amqps://guest:guest@localhost:$peer->port";
        $tls = ['root_ca' => Certificates::path('ca.pem')];

        self::assertStringContainsString('requires a client certificate', $this->refusal($dsn, $tls));
        self::assertStringContainsString('refused the client certificate', $this->refusal($dsn, $tls + Certificates::pair('other')));
        self::assertStringNotContainsString('certificate', $this->refusal($dsn, $tls + Certificates::pair('client')));
        self::assertStringContainsString('amqp1-client', $peer->output());
    }

    public function testNothingOlderThanTls12(): void
    {
        $peer = TlsPeer::start('server', ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0']);
        exec("openssl s_client -tls1_1 -cipher ALL:@SECLEVEL=0 -connect localhost:$peer->port </dev/null 2>&1", $said, $code);
        self::assertSame(0, $code, "this openssl can speak TLS 1.1, or the test shows nothing:\n" . implode("\n", $said));

        self::assertStringContainsString('1.2', $this->refusal("amqps://guest:guest@localhost:$peer->port", ['insecure_skip_verify' => true]));
    }

    public function testAServerThatClosesInTheMiddleOfTls(): void
    {
        $server = Child::php(<<<'PHP'
            $server = stream_socket_server('tcp://127.0.0.1:0');
            echo 'at ', stream_socket_get_name($server, false), "\n";
            $connection = stream_socket_accept($server, 20);
            fread($connection, 8192);
            fclose($connection);
            PHP);
        $address = substr($server->waitFor('at '), 3);

        self::assertStringContainsString("is this the broker's TLS port?", $this->refusal("amqps://$address", ['insecure_skip_verify' => true]));
    }

    public function testASilentServerEndsInTime(): void
    {
        [$held, $address] = Sockets::silent();
        $start = microtime(true);
        self::assertStringContainsString($address, $this->refusal("amqps://$address", ['insecure_skip_verify' => true]));
        self::assertLessThan(3.0, microtime(true) - $start);
        unset($held);
    }

    /** @return array<string, array{callable, string}> options, and what the message says */
    public static function unusableFiles(): array
    {
        $path = static fn (string $file) => Certificates::path($file);
        $pair = static fn (string $cert, string $key) => ['cert' => $path($cert), 'key' => $path($key)];

        return [
            'no such CA' => [static fn () => ['root_ca' => '/nowhere/ca.pem'], 'tls.root_ca: /nowhere/ca.pem: No such file'],
            'a folder' => [static fn () => ['root_ca' => '/tmp'], 'tls.root_ca: /tmp: Is a directory'],
            'an empty CA' => [static fn () => ['root_ca' => '/dev/null'], 'tls.root_ca: /dev/null contains no PEM certificate'],
            'a key as CA' => [static fn () => ['root_ca' => $path('ca.key')], 'contains no PEM certificate'],
            'no such certificate' => [static fn () => ['cert' => '/nowhere/c.pem', 'key' => $path('client.key')], 'tls.cert: /nowhere/c.pem: No such file'],
            'an empty certificate' => [static fn () => ['cert' => '/dev/null', 'key' => $path('client.key')], 'tls.cert: /dev/null contains no PEM certificate'],
            'no such key' => [static fn () => ['cert' => $path('client.pem'), 'key' => '/nowhere/c.key'], 'tls.key: /nowhere/c.key: No such file'],
            'an empty key' => [static fn () => ['cert' => $path('client.pem'), 'key' => '/dev/null'], 'tls.key: /dev/null contains no unencrypted PEM private key'],
            'a certificate as key' => [static fn () => $pair('client.pem', 'client.pem'), 'contains no unencrypted PEM private key'],
            'a key that does not fit' => [static fn () => $pair('client.pem', 'server.key'), 'server.key does not match the certificate in tls.cert'],
        ];
    }

    /** @dataProvider unusableFiles */
    #[DataProvider('unusableFiles')]
    public function testAFileThatCannotBeUsedIsSaidWhenTheQueueIsMade(callable $tls, string $says): void
    {
        $thrown = $this->thrown(ConfigException::class, static fn () => new AmqpQueue('amqps://localhost', 'q', ['tls' => $tls()]));

        self::assertStringContainsString($says, $thrown->getMessage());
    }

    public function testAFileThatGoesLater(): void
    {
        $peer = TlsPeer::start();
        $copy = tempnam(sys_get_temp_dir(), 'amqp1-ca-');
        copy(Certificates::path('ca.pem'), $copy);
        $queue = new AmqpQueue("amqps://localhost:$peer->port", 'q', ['timeout' => 3, 'tls' => ['root_ca' => $copy]]);
        unlink($copy);
        $thrown = $this->thrown(ConfigException::class, static fn () => $queue->push('job'));

        self::assertStringContainsString("tls.root_ca: $copy: No such file", $thrown->getMessage());
    }

    public function testTlsOptionsWithoutTlsAreRefused(): void
    {
        $thrown = $this->thrown(ConfigException::class,
            static fn () => new AmqpQueue('amqp://localhost', 'q', ['tls' => ['root_ca' => Certificates::path('ca.pem')]]));

        self::assertStringContainsString('use amqps://', $thrown->getMessage());
        self::assertCount(0, new AmqpQueue('embedded://tls', 'q', ['tls' => ['root_ca' => Certificates::path('ca.pem')]]));
    }
}
