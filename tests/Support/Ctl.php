<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/** The brokers that scripts/brokers runs, and their rabbitmqctl. */
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

        return self::execute('ctl', self::version($broker), '--quiet', ...$arguments);
    }

    /** `kill`s, `stop`s or `start`s the broker, and waits until that is done. */
    public static function broker(Broker $broker, string $action): void
    {
        self::execute($action, self::version($broker));
    }

    private static function version(Broker $broker): string
    {
        return $broker->isRabbitMq() ? substr($broker->name, strlen('rabbitmq-')) : $broker->name;
    }

    /** @return list<string> */
    private static function execute(string ...$arguments): array
    {
        $command = [dirname(__DIR__, 2) . '/scripts/brokers', ...$arguments];
        // A started broker keeps open files, which must not include our pipe.
        $log = tempnam(sys_get_temp_dir(), 'amqp1-ctl-');
        exec(implode(' ', array_map('escapeshellarg', $command)) . " > $log 2>&1 < /dev/null", $_, $code);
        $lines = file($log, FILE_IGNORE_NEW_LINES) ?: [];
        unlink($log);
        if ($code !== 0) {
            throw new RuntimeException(implode(' ', $command) . " ended with $code:\n" . implode("\n", $lines));
        }

        return $lines;
    }

    /** Whether the test may kill it. */
    public static function owns(Broker $broker): bool
    {
        if (!in_array($broker->name, ['artemis', 'activemq', 'qpid'], true)) {
            return self::reaches($broker);
        }
        exec(escapeshellarg(dirname(__DIR__, 2) . '/scripts/brokers-java') . ' env', $lines);

        return str_contains(implode("\n", $lines), $broker->dsn);
    }

    public static function reaches(Broker $broker): bool
    {
        return $broker->isRabbitMq() && $broker->name !== 'rabbitmq';
    }
}
