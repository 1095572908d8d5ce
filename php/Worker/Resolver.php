<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Exception\ConfigException;
use Amqp1\Task;
use Closure;

/**
 * Makes a callable of what an application names as one: a callable, an object with __invoke() or handle(), the name of
 * such a class, or [class name, method]. Classes are made when they are first needed.
 *
 * @internal
 */
final class Resolver
{
    /** @var (Closure(string): object)|null */
    private ?Closure $make = null;

    /** @param object|callable|null $container PSR-11's get($id), or a callable that is given the class name */
    public function __construct(object|callable|null $container = null)
    {
        if ($container === null) {
            return;
        }
        $this->make = match (true) {
            is_callable($container) => Closure::fromCallable($container),
            method_exists($container, 'get') => $container->get(...),
            default => throw new ConfigException('The container (' . get_debug_type($container)
                . ') must be callable or have a method get()'),
        };
    }

    /**
     * Why it cannot be used: what would otherwise fail at the first job.
     *
     * @param int $most How many arguments it may require.
     * @param string $tooMany What is said if it requires more.
     */
    public function problem(mixed $given, int $most, string $tooMany): ?string
    {
        $arguments = static fn (mixed $callable): ?string
            => (self::reflection($callable)?->getNumberOfRequiredParameters() ?? 0) > $most ? $tooMany : null;

        return match (true) {
            is_object($given) => self::method($given) === null
                ? get_debug_type($given) . ' has neither __invoke() nor handle()' : $arguments($given),
            is_array($given) && self::isPair($given) => $this->creation($given[0]) ?? $arguments($given),
            is_array($given) => is_callable($given) ? $arguments($given) : 'the array is not callable',
            !is_string($given) => get_debug_type($given) . ' is neither a callable, an object nor the name of a class',
            // The container may know it by another name than a class's.
            $this->make !== null => null,
            class_exists($given) => self::method($given) === null ? "$given has neither __invoke() nor handle()"
                : $this->creation($given) ?? $arguments([$given, self::method($given)]),
            is_callable($given) => $arguments($given),
            default => "no class or function \"$given\" exists (is its autoloader loaded?)",
        };
    }

    /**
     * Whether its first argument may be one Task, and whether it may be an array of them, as far as its type says.
     *
     * @return array{bool, bool}
     */
    public function takes(mixed $given): array
    {
        if (is_string($given) && class_exists($given)) {
            $given = [$given, (string) self::method($given)];
        }
        $type = is_callable($given, true) || is_object($given)
            ? (self::reflection($given)?->getParameters()[0] ?? null)?->getType() : null;
        $types = $type instanceof \ReflectionUnionType ? $type->getTypes() : [$type];
        $task = $array = false;
        foreach ($types as $one) {
            $name = $one instanceof \ReflectionNamedType ? strtolower($one->getName()) : 'mixed';
            $array = $array || in_array($name, ['mixed', 'array', 'iterable'], true);
            $task = $task || in_array($name, ['mixed', 'object'], true) || is_a(Task::class, $name, true);
        }

        return [$task, $array];
    }

    public function resolve(mixed $given): callable
    {
        if (is_array($given) && self::isPair($given)) {
            return [$this->instance($given[0]), $given[1]];
        }
        if (is_string($given) && ($this->make !== null || class_exists($given))) {
            $given = $this->instance($given);
        }
        if (is_object($given) && !$given instanceof Closure) {
            $method = self::method($given)
                ?? throw new ConfigException(get_debug_type($given) . ' has neither __invoke() nor handle()');

            return [$given, $method];
        }

        return $given;
    }

    /** Why a class cannot be made without a container. */
    private function creation(string $class): ?string
    {
        $reflection = new \ReflectionClass($class);

        return match (true) {
            $this->make !== null => null,
            !$reflection->isInstantiable() => "$class cannot be instantiated",
            (int) $reflection->getConstructor()?->getNumberOfRequiredParameters() > 0
                => "the constructor of $class requires arguments: pass an object, or give the worker a container",
            default => null,
        };
    }

    private static function reflection(mixed $callable): ?\ReflectionFunctionAbstract
    {
        if (is_object($callable) && !$callable instanceof Closure) {
            $callable = [$callable, (string) self::method($callable)];
        }
        $method = is_string($callable) && str_contains($callable, '::') ? explode('::', $callable, 2) : $callable;
        if (is_array($method)) {
            // null: by __call() or __callStatic()
            return method_exists($method[0], $method[1]) ? new \ReflectionMethod($method[0], $method[1]) : null;
        }

        return $method instanceof Closure || function_exists($method) ? new \ReflectionFunction($method) : null;
    }

    private function instance(string $class): object
    {
        return $this->make === null ? new $class() : ($this->make)($class);
    }

    /** [class name, method that needs an object]. */
    private static function isPair(array $given): bool
    {
        return array_keys($given) === [0, 1] && is_string($given[0]) && is_string($given[1])
            && self::isPublic($given[0], $given[1]) && !(new \ReflectionMethod($given[0], $given[1]))->isStatic();
    }

    private static function method(object|string $given): ?string
    {
        return match (true) {
            self::isPublic($given, '__invoke') => '__invoke',
            self::isPublic($given, 'handle') => 'handle',
            default => null,
        };
    }

    private static function isPublic(object|string $class, string $method): bool
    {
        return method_exists($class, $method) && (new \ReflectionMethod($class, $method))->isPublic();
    }
}
