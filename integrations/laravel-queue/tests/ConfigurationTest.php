<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests;

use Amqp1\Exception\ConfigException;
use Amqp1\Laravel\Amqp1Job;
use Amqp1\Laravel\Amqp1Queue;
use Amqp1\Laravel\Configuration;
use Amqp1\Laravel\Tests\Support\LaravelTestCase;
use InvalidArgumentException;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\RequiresPhp;

/** config/queue.php: what it may say, and what it is told when it is wrong. */
final class ConfigurationTest extends LaravelTestCase
{
    /** @return array<string, array{array<string, mixed>, string}> */
    public static function addresses(): array
    {
        return [
            'dsn' => [['dsn' => 'amqp://one,two/vhost'], 'amqp://one,two/vhost'],
            'service bus' => [['dsn' => 'Endpoint=sb://a/;SharedAccessKeyName=b;SharedAccessKey=c'], 'Endpoint=sb://a/;SharedAccessKeyName=b;SharedAccessKey=c'],
            'host' => [['host' => 'one'], 'amqp://one'],
            'hosts' => [['hosts' => ['one', 'two:5673'], 'port' => '5680', 'user' => 'a@b', 'password' => 'c/d'], 'amqp://a%40b:c%2Fd@one:5680,two:5673'],
            'hosts in one string' => [['hosts' => 'one, two', 'vhost' => 'a b'], 'amqp://one,two/a%20b'],
            'the default vhost' => [['host' => 'one', 'vhost' => '/'], 'amqp://one'],
            'TLS' => [['host' => 'one', 'tls' => ['root_ca' => '/ca.pem']], 'amqps://one'],
            'IPv6' => [['host' => '::1', 'port' => 5673, 'dsn' => null], 'amqp://[::1]:5673'],
            'scheme' => [['host' => 'one', 'scheme' => 'amqps', 'dsn' => null], 'amqps://one'],
        ];
    }

    /** @dataProvider addresses @param array<string, mixed> $config */
    #[DataProvider('addresses')]
    public function testTheBrokersAddress(array $config, string $dsn): void
    {
        self::assertSame($dsn, Configuration::of($config)->dsn);
    }

    public function testOptionsOfAQueue(): void
    {
        $configuration = Configuration::of([
            'driver' => 'amqp1', 'dsn' => 'embedded://', 'queue' => 'orders', 'timeout' => 5, 'max_length' => 10,
            'queues' => ['mails' => ['max_length' => 20]],
        ]);
        self::assertSame(['max_attempts' => 0, 'timeout' => 5, 'max_length' => 10], $configuration->optionsOf('orders'));
        self::assertSame(['max_attempts' => 0, 'max_length' => 20, 'timeout' => 5], $configuration->optionsOf('mails'));
        self::assertSame([1, 0.0, false, Amqp1Job::class], [
            $configuration->prefetch, $configuration->blockFor, $configuration->afterCommit, $configuration->job,
        ]);
    }

    /** @return array<string, array{array<string, mixed>, string}> */
    public static function mistakes(): array
    {
        return [
            'no broker' => [['dsn' => null], 'no broker is named. Set AMQP1_DSN in .env'],
            'two addresses' => [['host' => 'one'], 'it has a dsn, and also host; remove one of them'],
            'retry_after' => [['retry_after' => 90], "option 'retry_after' is not for Laravel: a job is delivered again when its worker"],
            'max_attempts' => [['max_attempts' => 5], "use queue:work's --tries or a job's \$tries"],
            'backoff of one queue' => [['queues' => ['mails' => ['backoff' => 5]]], "use queue:work's --backoff"],
            'prefetch' => [['prefetch' => 0], 'prefetch must be a whole number from 1 to 65535, found 0'],
            'a fraction' => [['prefetch' => 1.5], 'prefetch must be a whole number from 1 to 65535, found 1.5'],
            'a prefetch of too many' => [['prefetch' => 1e9], 'prefetch must be a whole number from 1 to 65535, found '],
            'a part of the address' => [['dsn' => null, 'host' => 'one', 'port' => [1]], 'port must be a number'],
            'the user' => [['dsn' => null, 'host' => 'one', 'user' => ['a']], 'user must be a string'],
            'an option of one queue' => [['queues' => ['mails' => ['prefetsh' => 5]]], "did you mean 'prefetch'"],
            'a value of the consumer' => [['consumer' => ['priority' => 'high']], "'priority'"],
            'block_for' => [['block_for' => 'long'], "block_for must be seconds, 0 or more, found 'long'"],
            'queues' => [['queues' => ['mails']], 'queues must be an array: queue name => options'],
            'consumer' => [['consumer' => ['auto_ack' => true]], 'consumer must be an array with priority, session, consumer_timeout, found an array with auto_ack'],
            'job' => [['job' => self::class], 'job must be a class that extends Amqp1\Laravel\Amqp1Job, found '],
            'an option of the extension' => [['timeout' => 'long'], "'timeout'"],
            'an unknown option' => [['prefetsh' => 5], "did you mean 'prefetch'"],
        ];
    }

    /** @dataProvider mistakes @param array<string, mixed> $config */
    #[DataProvider('mistakes')]
    public function testAMistakeIsNamedWhenTheConnectionIsMade(array $config, string $message): void
    {
        $laravel = $this->laravel('embedded');
        $laravel->app['config']->set('queue.connections.amqp1', $config + ['driver' => 'amqp1', 'dsn' => 'embedded://phpunit']);
        $error = $this->thrown(InvalidArgumentException::class, static fn () => $laravel->another());
        self::assertStringContainsString($message, $error->getMessage());
        self::assertTrue($error instanceof ConfigException || str_contains($error->getMessage(), "driver 'amqp1'"));
    }

    /** PHP 8.1 does not know parameters that are left out of traces. @requires PHP 8.2 */
    #[RequiresPhp('>= 8.2')]
    public function testNoSecretIsInAMessageOrATrace(): void
    {
        ini_set('zend.exception_ignore_args', '0');
        foreach ([['prefetch' => 0], ['host' => 'x'], ['timeout' => 'long'], ['consumer' => 5]] as $mistake) {
            try {
                (new \Amqp1\Laravel\Amqp1Connector(new \Illuminate\Container\Container()))->connect($mistake + ['dsn' => 'amqp://user:s3cret@one']);
                self::fail('no exception');
            } catch (InvalidArgumentException $error) {
                self::assertStringNotContainsString('s3cret', (string) $error . print_r($error->getTrace(), true));
            }
        }
        $queue = (new \Amqp1\Laravel\Amqp1Connector(new \Illuminate\Container\Container()))->connect(['dsn' => 'amqp://user:s3cret@one']);
        self::assertStringNotContainsString('s3cret', print_r($queue, true));
    }

    public function testAJobClassOfTheApplicationsOwn(): void
    {
        $laravel = $this->laravel('embedded', ['job' => Support\ForeignJob::class]);
        $laravel->amqpQueue()->push('OrderPlaced', ['id' => 7]);
        $job = $laravel->connection()->pop();
        self::assertInstanceOf(Support\ForeignJob::class, $job);
        self::assertSame('App\OrderPlaced@handle', $job->getName());
        self::assertSame(['id' => 7], $job->payload()['data']);
        $job->delete();
    }

    public function testTheLoggerAndTheObserverMayBeNames(): void
    {
        $observer = new class extends \Amqp1\NullObserver {
            public int $pushed = 0;

            public function afterPush(\Amqp1\Observation\Push $push): void
            {
                $this->pushed++;
            }
        };
        $laravel = $this->laravel('embedded', ['observer' => 'observer', 'logger' => 'file']);
        $laravel->app->instance('observer', $observer);
        $laravel->connection()->push('Handler@handle');
        self::assertSame(1, $observer->pushed);
    }

    public function testSetupDeclaresAndReports(): void
    {
        $laravel = $this->laravel('program', ['declare' => false, 'queues' => ['extra' => ['max_length' => 5]]]);
        $output = $laravel->ran('amqp1:setup');
        self::assertStringContainsString("$laravel->queue is set up.", $output);
        self::assertStringContainsString('extra is set up.', $output);
        $laravel->connection()->push('Handler@handle');

        $other = $this->laravel('program', ['queues' => ['extra' => ['max_length' => 6]]]);
        $child = $other->artisan(['amqp1:setup', '--queue=extra']);
        self::assertSame(1, $child->wait());
        self::assertStringContainsString('x-max-length is 5 (configured: 6)', $child->output());
        self::assertInstanceOf(Amqp1Queue::class, $laravel->connection());
    }
}
