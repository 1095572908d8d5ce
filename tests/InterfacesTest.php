<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Consumer;
use Amqp1\ConsumerInterface;
use Amqp1\QueueInterface;
use Amqp1\Task;
use Amqp1\TaskInterface;
use Amqp1\Tests\Support\ApiDescription;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use ReflectionClass;
use ReflectionMethod;

/** The interfaces of the final classes: neither has a method or a parameter that the other lacks. */
final class InterfacesTest extends TestCase
{
    /** @return array<string, array{class-string, class-string, list<class-string>}> */
    public static function interfaces(): array
    {
        return [
            'queue' => [QueueInterface::class, AmqpQueue::class, [\Countable::class]],
            'consumer' => [ConsumerInterface::class, Consumer::class, [\IteratorAggregate::class, \Traversable::class]],
            'task' => [TaskInterface::class, Task::class, []],
        ];
    }

    /**
     * @dataProvider interfaces
     *
     * @param list<class-string> $extends
     */
    #[DataProvider('interfaces')]
    public function testAnInterfaceHasItsClassesMethods(string $interface, string $class, array $extends): void
    {
        $of = static fn (string $name): array => array_filter(
            (new ReflectionClass($name))->getMethods(ReflectionMethod::IS_PUBLIC),
            static fn (ReflectionMethod $method) => !$method->isConstructor()
        );
        // The return types differ, see below.
        $signatures = static fn (array $methods): array => array_map(
            static fn (ReflectionMethod $method) => preg_replace('/\): \S+$/', ')', ApiDescription::signature($method)),
            $methods
        );
        self::assertTrue(is_subclass_of($class, $interface));
        self::assertEqualsCanonicalizing($signatures($of($class)), $signatures($of($interface)));
        self::assertEqualsCanonicalizing($extends, (new ReflectionClass($interface))->getInterfaceNames());
        foreach ($of($interface) as $method) {
            self::assertTrue($method->isAbstract(), $method->getName());
        }
    }

    public function testReturnTypesNameInterfaces(): void
    {
        $differ = [];
        foreach (self::interfaces() as [$interface, $class]) {
            foreach ((new ReflectionClass($interface))->getMethods() as $method) {
                [$its, $classes] = [(string) $method->getReturnType(), (string) (new ReflectionMethod($class, $method->getName()))->getReturnType()];
                self::assertDoesNotMatchRegularExpression('/Amqp1\\\\(AmqpQueue|Consumer|Task)\b(?!Interface)/', $its, $method->getName());
                if ($its !== $classes) {
                    $differ[] = "{$method->getName()}: $its, $classes";
                }
            }
        }
        sort($differ);

        self::assertSame([
            'failed: Amqp1\QueueInterface, Amqp1\AmqpQueue',
            'getIterator: Iterator, Amqp1\TaskIterator',
            'reserve: ?Amqp1\TaskInterface, ?Amqp1\Task',
            'waitTask: ?Amqp1\TaskInterface, ?Amqp1\Task',
        ], $differ);
    }

    public function testTheClassesAreWhatTheInterfacesSay(): void
    {
        $take = static fn (QueueInterface $queue, ConsumerInterface $consumer): ?TaskInterface
            => $queue->push('job') === '' ? null : $consumer->waitTask(5);
        $queue = new AmqpQueue('embedded://phpunit', 'interfaces-' . bin2hex(random_bytes(4)));
        $task = $take($queue, new Consumer($queue));

        self::assertInstanceOf(Task::class, $task);
        $task->release(headers: ['a' => 'b']);
        self::assertInstanceOf(Task::class, $again = $queue->reserve(5));
        self::assertSame('b', $again->getHeaderLine('a'));
    }
}
