<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\ApiDescription;
use Amqp1\Tests\Support\Child;
use PHPUnit\Framework\TestCase;
use ReflectionExtension;

/** php-stubs/amqp1.stub.php and the loaded extension agree, in both directions. */
final class StubsTest extends TestCase
{
    private const STUB = __DIR__ . '/../php-stubs/amqp1.stub.php';

    public function testStubAndExtensionAgreeOnEveryClass(): void
    {
        $stub = $this->stub()['classes'];
        $extension = ApiDescription::of((new ReflectionExtension('amqp1'))->getClasses());

        self::assertSame(array_keys($extension), array_keys($stub), 'the same classes');
        foreach ($extension as $class => $description) {
            self::assertSame($description, $stub[$class], "$class: the extension (-) and the stub (+)");
        }
    }

    public function testStubAndExtensionAgreeOnFunctions(): void
    {
        $functions = array_map([ApiDescription::class, 'signature'], (new ReflectionExtension('amqp1'))->getFunctions());

        self::assertSame(array_values($functions), $this->stub()['functions']);
    }

    public function testTheDesignsClassesAreThere(): void
    {
        $classes = array_keys((new ReflectionExtension('amqp1'))->getClasses());
        foreach (['AmqpQueue', 'Consumer', 'Jobs', 'Task', 'PeekedTask', 'Exception\\ExceptionInterface'] as $name) {
            self::assertContains("Amqp1\\$name", $classes);
        }
        foreach (['AmqpQueue', 'Consumer', 'Jobs', 'Task', 'PeekedTask'] as $name) {
            self::assertTrue((new \ReflectionClass("Amqp1\\$name"))->isFinal(), "$name is final");
        }
        self::assertTrue(is_subclass_of('Amqp1\\AmqpQueue', \Countable::class));
        self::assertTrue(is_subclass_of('Amqp1\\Consumer', \Traversable::class));
        self::assertTrue(is_subclass_of('Amqp1\\Jobs', \Traversable::class));
    }

    public function testEveryMethodOfTheStubIsDocumented(): void
    {
        foreach ($this->stub()['undocumented'] as $method) {
            self::fail("$method has no doc comment");
        }
        self::assertTrue(true);
    }

    /** @return array{classes: array<string, mixed>, functions: list<string>, undocumented: list<string>} */
    private function stub(): array
    {
        self::assertFileExists(self::STUB);
        // In a PHP without the extension, so that the names are free.
        $child = Child::command([PHP_BINARY, '-n', '-d', 'display_errors=stderr', '-r', <<<'PHP'
            [, $describe, $stub] = $argv;
            require $describe;
            $functions = get_defined_functions()['user'];
            $known = array_merge(get_declared_classes(), get_declared_interfaces());
            require $stub;
            $new = array_diff(array_merge(get_declared_classes(), get_declared_interfaces()), $known);
            $classes = array_map(fn ($name) => new ReflectionClass($name), $new);
            $undocumented = [];
            foreach ($classes as $class) {
                foreach ($class->getMethods() as $method) {
                    if ($method->class === $class->name && !$method->isPrivate() && !$method->getDocComment()) {
                        $undocumented[] = "$class->name::$method->name()";
                    }
                }
            }
            echo json_encode([
                'classes' => Amqp1\Tests\Support\ApiDescription::of($classes),
                'functions' => array_values(array_map(
                    fn ($name) => Amqp1\Tests\Support\ApiDescription::signature(new ReflectionFunction($name)),
                    array_diff(get_defined_functions()['user'], $functions)
                )),
                'undocumented' => $undocumented,
            ]);
            PHP, __DIR__ . '/Support/ApiDescription.php', self::STUB]);
        $code = $child->wait(20);
        self::assertSame(0, $code, $child->output());

        return json_decode($child->output(), true, 512, JSON_THROW_ON_ERROR);
    }
}
