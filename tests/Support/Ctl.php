<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** rabbitmqctl of the brokers that scripts/brokers runs. */
final class Ctl
{
    /** @return list<list<string>> the table's rows, without its head */
    public static function table(Broker $broker, string ...$arguments): array
    {
        return array_map(
            static fn (string $line) => explode("\t", $line),
            self::run($broker, ...[...$arguments, '--no-table-headers'])
        );
    }

    /** @return list<string> the lines it prints */
    public static function run(Broker $broker, string ...$arguments): array
    {
        if (!self::reaches($broker)) {
            throw new RuntimeException('rabbitmqctl reaches only the brokers of scripts/brokers');
        }
        $version = substr($broker->name, strlen('rabbitmq-'));
        $command = [dirname(__DIR__, 2) . '/scripts/brokers', 'ctl', $version, '--quiet', ...$arguments];
        exec(implode(' ', array_map('escapeshellarg', $command)) . ' 2>&1', $lines, $code);
        if ($code !== 0) {
            throw new RuntimeException(implode(' ', $command) . " ended with $code:\n" . implode("\n", $lines));
        }

        return $lines;
    }

    public static function reaches(Broker $broker): bool
    {
        return $broker->isRabbitMq() && $broker->name !== 'rabbitmq';
    }
}
