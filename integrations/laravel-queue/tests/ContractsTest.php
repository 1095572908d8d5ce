<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests;

use Amqp1\Laravel\Amqp1Connector;
use Amqp1\Laravel\Amqp1Job;
use Amqp1\Laravel\Amqp1Queue;
use Illuminate\Queue\Jobs\Job;
use Illuminate\Queue\Queue;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/**
 * The contracts of Laravel 13, of which Debian has older versions: what they ask for is there, with the same parameters.
 * And of Laravel's own classes, the methods that this package calls or overrides, in the versions in which they differ.
 */
final class ContractsTest extends TestCase
{
    /** Illuminate\Contracts\Queue\Queue, and what Laravel's own queues have besides. */
    private const QUEUE = [
        'size' => ['queue?'],
        'pendingSize' => ['queue?'],
        'delayedSize' => ['queue?'],
        'reservedSize' => ['queue?'],
        'creationTimeOfOldestPendingJob' => ['queue?'],
        'push' => ['job', 'data?', 'queue?'],
        'pushOn' => ['queue', 'job', 'data?'],
        'pushRaw' => ['payload', 'queue?', 'options?'],
        'later' => ['delay', 'job', 'data?', 'queue?'],
        'laterOn' => ['queue', 'delay', 'job', 'data?'],
        'bulk' => ['jobs', 'data?', 'queue?'],
        'pop' => ['queue?', 'index?'],
        'getConnectionName' => [],
        'setConnectionName' => ['name'],
        'getQueue' => ['queue'],
        'setContainer' => ['container'],
        // Illuminate\Contracts\Queue\ClearableQueue
        'clear' => ['queue'],
    ];

    /** Illuminate\Contracts\Queue\Job */
    private const JOB = [
        'uuid', 'getJobId', 'payload', 'fire', 'release', 'isReleased', 'delete', 'isDeleted', 'isDeletedOrReleased', 'attempts',
        'hasFailed', 'markAsFailed', 'fail', 'maxTries', 'maxExceptions', 'timeout', 'retryUntil', 'getName', 'resolveName',
        'getConnectionName', 'getQueue', 'getRawBody',
    ];

    /** @return array<string, array{string, list<string>}> */
    public static function methods(): array
    {
        $methods = [];
        foreach (self::QUEUE as $name => $parameters) {
            $methods[$name] = [$name, $parameters];
        }

        return $methods;
    }

    /** @dataProvider methods @param list<string> $parameters */
    #[DataProvider('methods')]
    public function testTheQueueHasTheMethod(string $name, array $parameters): void
    {
        self::assertSame($parameters, self::parameters(Amqp1Queue::class, $name));
    }

    public function testTheJobHasTheMethods(): void
    {
        foreach (self::JOB as $name) {
            self::assertTrue(method_exists(Amqp1Job::class, $name), $name);
        }
        self::assertSame(['delay?'], self::parameters(Amqp1Job::class, 'release'));
        self::assertSame(['e?'], self::parameters(Amqp1Job::class, 'fail'));
        self::assertSame(['config'], self::parameters(Amqp1Connector::class, 'connect'));
    }

    /** What of the framework is not in a contract. */
    public function testLaravelsClassesAreAsThisPackageUsesThem(): void
    {
        self::assertSame(['job', 'payload', 'queue', 'delay', 'callback'], self::parameters(Queue::class, 'enqueueUsing'));
        self::assertContains(self::parameters(Queue::class, 'createPayload'), [
            ['job', 'queue', 'data?'],                // 8 to 11
            ['job', 'queue', 'data?', 'delay?'],      // 12 and later
        ]);
        self::assertSame(['job', 'queue', 'data?'], self::parameters(Queue::class, 'createPayloadArray'));
        self::assertSame(['job'], self::parameters(Queue::class, 'shouldDispatchAfterCommit'));
        self::assertContains(self::parameters(Queue::class, 'raiseJobQueuedEvent'), [
            ['jobId', 'job'],                                 // 8 and 9
            ['jobId', 'job', 'payload'],                      // 10
            ['queue', 'jobId', 'job', 'payload', 'delay'],    // 11 and later
        ]);
        self::assertContains(method_exists(Queue::class, 'raiseJobQueueingEvent') ? self::parameters(Queue::class, 'raiseJobQueueingEvent') : [], [
            [],                                               // 8 and 9
            ['job', 'payload'],                               // 10
            ['queue', 'job', 'payload', 'delay'],             // 11 and later
        ]);
        self::assertSame(['e'], self::parameters(Job::class, 'failed'));
        self::assertSame(['e?'], self::parameters(Job::class, 'fail'));
        foreach (['shouldQuit', 'paused'] as $property) {
            self::assertTrue((new \ReflectionProperty(\Illuminate\Queue\Worker::class, $property))->isPublic(), $property);
        }
    }

    /** @return list<string> names of parameters, with a "?" if optional */
    private static function parameters(string $class, string $method): array
    {
        return array_map(
            static fn (\ReflectionParameter $one) => $one->getName() . ($one->isOptional() ? '?' : ''),
            (new \ReflectionMethod($class, $method))->getParameters()
        );
    }
}
