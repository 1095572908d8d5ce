<?php

declare(strict_types=1);

namespace Amqp1\Worker;

use Amqp1\Exception\ConfigException;
use Closure;

/**
 * Which handler a job's name has.
 *
 * Only what was registered is ever called or made: a name that comes with a job is compared, never used as a class.
 *
 * @internal
 */
final class Handlers
{
    /** @var array<string, mixed> by job name */
    private array $exact = [];

    /** @var array<string, mixed> by pattern, in the order given */
    private array $patterns = [];

    /** @var array<string, Closure|callable> resolved, by name or pattern */
    private array $ready = [];

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

    /** @throws ConfigException nothing that could handle a job */
    public function add(string $name, mixed $handler): void
    {
        if ($name === '') {
            throw new ConfigException('A handler\'s job name must not be empty; the name "*" handles all jobs that have no other handler');
        }
        $this->check($name, $handler);
        if (str_contains($name, '*')) {
            $this->patterns[$name] = $handler;
        } else {
            $this->exact[$name] = $handler;
        }
        // Names that a pattern has caught before may now be another's.
        $this->ready = [];
    }

    public function isEmpty(): bool
    {
        return $this->exact === [] && $this->patterns === [];
    }

    /** Whether there is a handler, without making it. */
    public function has(string $name): bool
    {
        return $this->keyOf($name) !== null;
    }

    /** The handler of a job that has one; made at its first use. */
    public function get(string $name): callable
    {
        $key = (string) $this->keyOf($name);

        return $this->ready[$key] ??= $this->resolve($this->exact[$key] ?? $this->patterns[$key]);
    }

    /** The name itself goes first, then the patterns in their order, "*" last of all. */
    private function keyOf(string $name): ?string
    {
        if (isset($this->exact[$name])) {
            return $name;
        }
        foreach ($this->patterns as $pattern => $_) {
            if ($pattern !== '*' && self::matches($pattern, $name)) {
                return $pattern;
            }
        }

        return isset($this->patterns['*']) ? '*' : null;
    }

    private static function matches(string $pattern, string $name): bool
    {
        return preg_match('/^' . str_replace('\*', '.*', preg_quote($pattern, '/')) . '$/sD', $name) === 1;
    }

    /** Says at once what would fail at the first job. */
    private function check(string $name, mixed $handler): void
    {
        $problem = match (true) {
            is_object($handler) => self::method($handler) === null
                ? get_debug_type($handler) . ' has neither __invoke() nor handle()' : self::arguments($handler),
            is_array($handler) && self::isPair($handler) => $this->creation($handler[0]) ?? self::arguments($handler),
            is_array($handler) => is_callable($handler) ? self::arguments($handler) : 'the array is not callable',
            !is_string($handler) => get_debug_type($handler) . ' is neither a callable, an object nor the name of a class',
            // The container may know it by another name than a class's.
            $this->make !== null => null,
            class_exists($handler) => self::method($handler) === null ? "$handler has neither __invoke() nor handle()"
                : $this->creation($handler) ?? self::arguments([$handler, self::method($handler)]),
            is_callable($handler) => self::arguments($handler),
            default => "no class or function \"$handler\" exists (is its autoloader loaded?)",
        };
        if ($problem !== null) {
            throw new ConfigException("Invalid handler for \"$name\": $problem");
        }
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

    /** It is given the task, and nothing else. */
    private static function arguments(mixed $handler): ?string
    {
        if (is_object($handler) && !$handler instanceof Closure) {
            $handler = [$handler, (string) self::method($handler)];
        }
        $method = is_string($handler) && str_contains($handler, '::') ? explode('::', $handler, 2) : $handler;
        if (is_array($method) && !method_exists($method[0], $method[1])) {
            // By __call() or __callStatic().
            return null;
        }
        $reflection = is_array($method) ? new \ReflectionMethod($method[0], $method[1]) : new \ReflectionFunction($method);

        return $reflection->getNumberOfRequiredParameters() > 1
            ? 'it requires more than one argument, but is called with the task alone' : null;
    }

    private function resolve(mixed $handler): callable
    {
        if (is_array($handler) && self::isPair($handler)) {
            return [$this->instance($handler[0]), $handler[1]];
        }
        if (is_string($handler) && ($this->make !== null || class_exists($handler))) {
            $handler = $this->instance($handler);
        }
        if (is_object($handler) && !$handler instanceof Closure) {
            $method = self::method($handler)
                ?? throw new ConfigException(get_debug_type($handler) . ' has neither __invoke() nor handle()');

            return [$handler, $method];
        }

        return $handler;
    }

    private function instance(string $class): object
    {
        return $this->make === null ? new $class() : ($this->make)($class);
    }

    /** [class name, method that needs an object]. */
    private static function isPair(array $handler): bool
    {
        return array_keys($handler) === [0, 1] && is_string($handler[0]) && is_string($handler[1])
            && self::isPublic($handler[0], $handler[1]) && !(new \ReflectionMethod($handler[0], $handler[1]))->isStatic();
    }

    private static function method(object|string $handler): ?string
    {
        return match (true) {
            self::isPublic($handler, '__invoke') => '__invoke',
            self::isPublic($handler, 'handle') => 'handle',
            default => null,
        };
    }

    private static function isPublic(object|string $class, string $method): bool
    {
        return method_exists($class, $method) && (new \ReflectionMethod($class, $method))->isPublic();
    }
}
