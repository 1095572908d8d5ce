<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use RuntimeException;

/**
 * The broker matrix.
 *
 * `embedded` runs in the process, `program` is amqp1-broker (started here, on its own port),
 * `servicebus` is the same program as Azure Service Bus; `rabbitmq-3.10`, `rabbitmq-4.0` and `rabbitmq-4.3` are named by AMQP1_TEST_RABBITMQ_310, _40 and _43;
 * `artemis` is named by AMQP1_TEST_ARTEMIS; `activemq` (Classic) and `qpid` (Broker-J, which has no dialect here) by
 * AMQP1_TEST_ACTIVEMQ and AMQP1_TEST_QPID, and take part when AMQP1_TEST_BROKERS names them (`make test-brokers`).
 * AMQP1_TEST_RABBITMQ, your own RabbitMQ 4, replaces the three as `rabbitmq`.
 * AMQP1_TEST_BROKERS=embedded,program selects some of them. A selected broker that is missing is a failure.
 */
final class Brokers
{
    private static ?ProgramBroker $program = null;

    private static ?ProgramBroker $serviceBus = null;

    /** @var array<string, Broker> */
    private static array $found = [];

    /** @return list<string> */
    public static function names(): array
    {
        $all = ['embedded', 'program', 'servicebus'];
        $all = getenv('AMQP1_TEST_RABBITMQ')
            ? [...$all, 'rabbitmq']
            : [...$all, 'rabbitmq-3.10', 'rabbitmq-4.0', 'rabbitmq-4.3'];
        $all[] = 'artemis';
        $wanted = getenv('AMQP1_TEST_BROKERS');
        if ($wanted === false || trim($wanted) === '') {
            return $all;
        }
        $wanted = array_map('trim', explode(',', $wanted));
        $all = [...$all, 'activemq', 'qpid'];
        $unknown = array_diff($wanted, $all);
        if ($unknown !== []) {
            throw new RuntimeException('AMQP1_TEST_BROKERS names ' . implode(', ', $unknown)
                . '; there are ' . implode(', ', $all));
        }

        return $wanted;
    }

    /** @return array<string, array{string}> A data set for each broker. */
    public static function all(): array
    {
        return self::sets(self::matrix());
    }

    /** @return array<string, array{string}> RabbitMQ 4, which has management: what is declared and routed there. */
    public static function rabbitMq(): array
    {
        return self::sets(array_filter(
            self::names(),
            static fn ($name) => $name !== 'rabbitmq-3.10' && str_starts_with($name, 'rabbitmq')
        ));
    }

    /** @return array<string, array{string}> RabbitMQ 3 as well: its plugin rabbitmq_amqp1_0. */
    public static function everyRabbitMq(): array
    {
        return self::sets(array_filter(self::names(), static fn ($name) => str_starts_with($name, 'rabbitmq')));
    }

    /** @return array<string, array{string}> */
    public static function rabbitMq3(): array
    {
        return self::sets(array_filter(self::names(), static fn ($name) => $name === 'rabbitmq-3.10'));
    }

    /** @return array<string, array{string}> Those that another process can reach. */
    public static function networked(): array
    {
        return self::sets(array_filter(self::matrix(), static fn ($name) => $name !== 'embedded'));
    }

    /** @return list<string> Those that pass every contract test, as far as they have what it is about. */
    private static function matrix(): array
    {
        return array_values(array_diff(self::names(), ['activemq', 'qpid']));
    }

    /** @return array<string, array{string}> ActiveMQ Artemis and Classic, and a broker that nothing is known of. */
    public static function others(): array
    {
        return self::sets(array_intersect(self::names(), ['artemis', 'activemq', 'qpid']));
    }

    /** @return array<string, array{string}> */
    public static function activeMq(): array
    {
        return self::sets(array_intersect(self::names(), ['artemis', 'activemq']));
    }

    public static function get(string $name): Broker
    {
        return self::$found[$name] ??= new Broker($name, match ($name) {
            'embedded' => 'embedded://phpunit',
            'program' => (self::$program = ProgramBroker::start(['--idle-timeout', '4000']))->dsn,
            'servicebus' => self::serviceBus(),
            'rabbitmq' => self::fromEnvironment('AMQP1_TEST_RABBITMQ'),
            'rabbitmq-3.10' => self::fromEnvironment('AMQP1_TEST_RABBITMQ_310'),
            'rabbitmq-4.0' => self::fromEnvironment('AMQP1_TEST_RABBITMQ_40'),
            'rabbitmq-4.3' => self::fromEnvironment('AMQP1_TEST_RABBITMQ_43'),
            'artemis', 'activemq', 'qpid' => self::fromEnvironment('AMQP1_TEST_' . strtoupper($name)),
        });
    }

    /** SASL PLAIN, and the dialect by the option, because nothing in the broker's open identifies it. */
    private static function serviceBus(): string
    {
        self::$serviceBus = ProgramBroker::serviceBus(['--idle-timeout', '4000', '--lock-duration', '5']);

        return 'amqp://RootManageSharedAccessKey:SAS_KEY_VALUE@' . self::$serviceBus->address() . '/?dialect=servicebus';
    }

    private static function fromEnvironment(string $variable): string
    {
        $dsn = getenv($variable);
        if ($dsn === false || $dsn === '') {
            throw new RuntimeException("$variable is not set: eval \"\$(scripts/brokers env)\" after `make brokers-up`,"
                . ' or take a part of the matrix with AMQP1_TEST_BROKERS=embedded,program');
        }

        return $dsn;
    }

    /**
     * PHPUnit complains about an empty provider, so this says what was left out instead.
     *
     * @param iterable<string> $names
     * @return array<string, array{string}>
     */
    private static function sets(iterable $names): array
    {
        $sets = [];
        foreach ($names as $name) {
            $sets[$name] = [$name];
        }

        return $sets === [] ? ['none of AMQP1_TEST_BROKERS' => ['']] : $sets;
    }
}
