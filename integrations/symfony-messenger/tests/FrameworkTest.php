<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests;

use PHPUnit\Framework\TestCase;
use Symfony\Component\Messenger\Command\ConsumeMessagesCommand;
use Symfony\Component\Messenger\Worker;

/** The framework of these tests is the real one. */
final class FrameworkTest extends TestCase
{
    public function testSymfonyIsThere(): void
    {
        foreach ([Worker::class, ConsumeMessagesCommand::class] as $class) {
            self::assertTrue(class_exists($class), $class);
            self::assertStringContainsString('Symfony/Component/Messenger', (string) (new \ReflectionClass($class))->getFileName());
        }
    }
}
