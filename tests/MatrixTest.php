<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Brokers;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;
use ReflectionClass;
use ReflectionMethod;

/** The suite runs with any single broker in AMQP1_TEST_BROKERS: PHPUnit treats a provider without data as an error. */
final class MatrixTest extends TestCase
{
    /** @return array<string, array{string}> */
    public static function classes(): array
    {
        $sets = [];
        foreach (glob(__DIR__ . '/*Test.php') as $file) {
            $sets[basename($file, '.php')] = [basename($file, '.php')];
        }

        return $sets;
    }

    /** @dataProvider classes */
    #[DataProvider('classes')]
    public function testNoProviderIsEmptyWithOneBrokerAlone(string $name): void
    {
        $before = getenv('AMQP1_TEST_BROKERS');
        putenv('AMQP1_TEST_BROKERS');
        $brokers = Brokers::names();
        try {
            foreach (self::providers(__NAMESPACE__ . '\\' . $name) as $provider) {
                foreach ($brokers as $broker) {
                    putenv("AMQP1_TEST_BROKERS=$broker");
                    $sets = 0;
                    foreach ($provider->invoke(null) as $_) {
                        ++$sets;
                    }
                    self::assertGreaterThan(0, $sets, "{$provider->name}() with AMQP1_TEST_BROKERS=$broker");
                }
            }
        } finally {
            putenv($before === false ? 'AMQP1_TEST_BROKERS' : "AMQP1_TEST_BROKERS=$before");
        }
        self::assertTrue(true);
    }

    /** @return array<string, ReflectionMethod> */
    private static function providers(string $class): array
    {
        $providers = [];
        $reflection = new ReflectionClass($class);
        foreach ($reflection->getMethods(ReflectionMethod::IS_PUBLIC) as $method) {
            preg_match_all('/@dataProvider (\w+)/', (string) $method->getDocComment(), $matches);
            foreach ($matches[1] as $name) {
                $providers[$name] = $reflection->getMethod($name);
            }
        }

        return $providers;
    }
}
