<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Command\Doctor\Address;
use Amqp1\Command\Doctor\Finding;
use Amqp1\Command\Doctor\Limits;
use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\ProgramBroker;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\TestCase;

/** `amqp1 doctor`: each trouble that a machine, a network, a broker or a queue can have is named, with what mends it. */
final class DoctorTest extends TestCase
{
    public function testWithoutABrokerItLooksAtPhp(): void
    {
        $run = Cli::run(['doctor']);

        self::assertSame([0, ''], [$run->code, $run->err], $run->out);
        self::assertStringContainsString('ok       PHP: ' . PHP_VERSION, $run->out);
        self::assertStringContainsString(PHP_ZTS ? 'thread-safe (ZTS)' : 'not thread-safe (NTS)', $run->out);
        self::assertStringContainsString('ok       extension: amqp1 ' . phpversion('amqp1'), $run->out);
        self::assertStringContainsString("note     broker: none was given, so none was checked\n         -> Set AMQP1_DSN", $run->out);
        self::assertStringEndsWith("No problems.\n", $run->out);
    }

    public function testItRunsWithoutTheExtensionAndSaysWhyItIsMissing(): void
    {
        $folder = sys_get_temp_dir() . '/amqp1-doctor-' . bin2hex(random_bytes(6));
        mkdir($folder);
        try {
            [$code, $out] = $this->withoutExtension($folder);
            self::assertSame(1, $code);
            self::assertStringContainsString("problem  extension: amqp1 is not installed: $folder/amqp1.so does not exist\n         -> Install it: pie install", $out);

            touch("$folder/amqp1.so");
            self::assertStringContainsString("problem  extension: amqp1 is installed as $folder/amqp1.so, but not enabled\n         -> ", $this->withoutExtension($folder)[1]);

            file_put_contents("$folder/php.ini", "extension_dir=$folder\ndisplay_errors=0\ndisplay_startup_errors=0\nextension=amqp1\n");
            self::assertStringContainsString('problem  extension: amqp1 is enabled, but this PHP does not load', $this->withoutExtension($folder)[1]);
        } finally {
            array_map('unlink', glob("$folder/*") ?: []);
            rmdir($folder);
        }
    }

    public function testABrokerAndItsQueues(): void
    {
        $broker = ProgramBroker::start();
        $environment = ['AMQP1_DSN' => $broker->dsn];

        $run = Cli::run(['doctor', '-Q', 'orders'], $environment);
        self::assertSame([0, ''], [$run->code, $run->err], $run->out);
        self::assertMatchesRegularExpression('/^ok       network: 127\.0\.0\.1:\d+ accepts connections \(/m', $run->out);
        self::assertMatchesRegularExpression('/^ok       broker: amqp1-broker [\d.]+ answers in [\d.]+ ms \(dialect embedded\)$/m', $run->out);
        self::assertStringContainsString('note     queue: orders does not exist yet', $run->out);
        self::assertSame(0, Cli::run(['doctor', '-q', '-Q', 'orders'], $environment)->code, 'looking at a queue has not made it');
        self::assertSame('', Cli::run(['doctor', '-q', '-Q', 'orders'], $environment)->out);

        (new AmqpQueue($broker->dsn, 'orders'))->push('job');
        self::assertStringContainsString('note     queue: orders: 1 jobs wait, and nobody consumes', Cli::run(['doctor', '-Q', 'orders'], $environment)->out);
        $states = array_column(Cli::run(['doctor', '--json', '-Q', 'orders'], $environment)->json(), 'state', 'subject');
        self::assertSame('ok', $states['network']);
        self::assertSame('note', $states['queue']);
    }

    public function testABrokerThatIsNotThereOrDoesNotLetUsIn(): void
    {
        $port = (int) explode(':', (string) stream_socket_get_name($socket = stream_socket_server('tcp://127.0.0.1:0'), false))[1];
        fclose($socket);
        $run = Cli::run(['doctor', '-Q', 'q', '--dsn', "amqp://user:geheim@127.0.0.1:$port"]);
        self::assertSame(1, $run->code);
        self::assertStringContainsString("problem  network: 127.0.0.1:$port cannot be connected to: Connection refused\n         -> Nothing listens there", $run->out);
        self::assertStringEndsWith("1 problem.\n", $run->out);
        self::assertStringNotContainsString('geheim', $run->out . $run->err);

        self::assertStringContainsString('problem  network: the name no-such-host.invalid is not known here', Cli::run(['doctor', '--dsn', 'amqp://no-such-host.invalid'])->out);

        $broker = ProgramBroker::start(['--user', 'user:secret']);
        $run = Cli::run(['doctor', '-Q', 'q'], ['AMQP1_DSN' => str_replace('amqp://', 'amqp://user:geheim@', (string) preg_replace('#//[^@/]*@#', '//', $broker->dsn))]);
        self::assertSame(1, $run->code);
        self::assertMatchesRegularExpression('/^problem  login: .*\n         -> Check user and password/m', $run->out);
        self::assertStringNotContainsString('geheim', $run->out . $run->err);
    }

    public function testAWrongConfigurationIsAProblem(): void
    {
        self::assertStringContainsString('problem  configuration: ', Cli::run(['doctor', '--dsn', 'http://host'])->out);
        self::assertStringContainsString('problem  broker: The configuration file /nowhere.yaml does not exist', Cli::run(['doctor', '--config', '/nowhere.yaml'])->out);
        self::assertStringContainsString('problem  state file: ', Cli::run(['doctor', '--state-file', '/nowhere/state'])->out);
        self::assertStringContainsString('problem  state file: ' . sys_get_temp_dir() . ' is a folder', Cli::run(['doctor', '--state-file', sys_get_temp_dir()])->out);
        self::assertStringContainsString('problem  state file: --state-file is empty', Cli::run(['doctor', '--state-file='])->out);
        self::assertStringContainsString('ok       state file: ', Cli::run(['doctor', '--state-file', sys_get_temp_dir() . '/amqp1-doctor-state'])->out);
    }

    public function testNoPartOfAPasswordIsTakenForAHost(): void
    {
        foreach (['amqp://user:a@geheim@127.0.0.1:1', 'amqp://user:a#geheim@127.0.0.1:1', 'amqp://user:a/geheim@127.0.0.1:1', 'amqp://user:1/2?geheim@127.0.0.1:1'] as $dsn) {
            $run = Cli::run(['doctor', '-Q', 'q', '--dsn', $dsn]);
            self::assertSame(1, $run->code, $run->out);
            self::assertStringNotContainsString('geheim', $run->out . $run->err);
            self::assertMatchesRegularExpression('/problem  (network: 127\.0\.0\.1:1 cannot|configuration: .* percent-encode)/', $run->out);
            self::assertStringEndsWith("\n1 problem.\n", $run->out);
        }
    }

    public function testTwoBrokersOfACommandAreNamedWithoutTheirPasswords(): void
    {
        $names = (new \ReflectionMethod(\Amqp1\Command\Target::class, 'host'));
        $target = (new \ReflectionClass(\Amqp1\Command\Target::class))->newInstanceWithoutConstructor();
        (new \ReflectionProperty($target, 'dsns'))->setValue($target, $dsns = ['amqp://user:ge#heim@one', 'amqp://user:ge@heim@two:5673/v']);

        self::assertSame(['one', 'two:5673'], array_map(static fn (string $dsn) => $names->invoke($target, $dsn), $dsns));
    }

    /** @return array<string, array{array{dialect: string, product: string, version: string, longest_job: float|null}, float|null, list<string>, string}> */
    public static function brokers(): array
    {
        $rabbit = static fn (string $version, ?float $limit = null, string $dialect = 'rabbitmq4')
            => ['dialect' => $dialect, 'product' => 'RabbitMQ', 'version' => $version, 'longest_job' => $limit];
        $serviceBus = ['dialect' => 'servicebus', 'product' => 'Azure Service Bus', 'version' => '', 'longest_job' => 300.0];

        return [
            'RabbitMQ 3' => [$rabbit('3.10.8', null, 'rabbitmq3'), 3600.0, ['note'], 'Update to RabbitMQ 4'],
            'RabbitMQ 4.0 has no limit for a consumer of AMQP 1.0' => [$rabbit('4.0.9'), 3600.0, ['ok'], ''],
            'RabbitMQ 4.3' => [$rabbit('4.3.6', 1800.0), null, ['note'], '--longest-job SECONDS compares'],
            'RabbitMQ 4.3, a short job' => [$rabbit('4.3.6', 1800.0), 60.0, ['ok'], ''],
            'RabbitMQ 4.3, a long job' => [$rabbit('4.3.6', 1800.0), 3600.0, ['problem'], "Set 'consumer_timeout' => 5400 on the queue"],
            'Service Bus, a long job' => [$serviceBus, 301.0, ['problem'], "Set 'max_lock_renewal' => 452 on the queue"],
            'Service Bus, a short job' => [$serviceBus, 299.0, ['ok'], ''],
            'another broker' => [['dialect' => 'generic', 'product' => 'Other', 'version' => '1', 'longest_job' => null], 3600.0, ['note'], 'docs/brokers.md'],
        ];
    }

    /**
     * @dataProvider brokers
     *
     * @param array{dialect: string, product: string, version: string, longest_job: float|null} $broker
     * @param list<string> $states
     */
    #[DataProvider('brokers')]
    public function testABrokersVersionAndItsLimitForLongJobs(array $broker, ?float $longest, array $states, string $mend): void
    {
        $findings = array_filter([Limits::ofVersion($broker), Limits::ofJobs($broker, 'q', $longest)]);

        self::assertSame($states, array_values(array_column($findings, 'state')));
        self::assertStringContainsString($mend, implode('', array_column($findings, 'mend')));
    }

    public function testTheHostsOfADsn(): void
    {
        $where = static fn (string $dsn): array => array_map(static fn (array $address) => "$address[scheme] $address[host] $address[port]", Address::of($dsn));

        self::assertSame(['amqp host 5672'], $where('amqp://host'));
        self::assertSame(['amqps a 5671', 'amqps b 5555'], $where('amqps://u:p@a,b:5555/vhost?timeout=5'));
        self::assertSame(['amqps host 5671'], $where('amqp1s://host/'));
        self::assertSame(['amqp ::1 5672'], $where('amqp://[::1]'));
        self::assertSame(['amqps ns.servicebus.windows.net 5671'], $where('Endpoint=sb://ns.servicebus.windows.net/;SharedAccessKeyName=a;SharedAccessKey=b'));
        self::assertSame(['amqp localhost 5672'], $where('Endpoint=sb://localhost;SharedAccessKeyName=a;SharedAccessKey=b;UseDevelopmentEmulator=true'));
        self::assertSame(['amqp host 5672'], $where('amqp://user:ge@h#e,im@host/vhost'), 'as AmqpQueue reads it');
        self::assertSame([], $where('embedded://'));
        self::assertSame([], $where('http://host'));
    }

    public function testAPasswordThatWouldTravelInTheClearIsNoted(): void
    {
        $server = stream_socket_server('tcp://0.0.0.0:0');
        $port = (int) explode(':', (string) stream_socket_get_name($server, false))[1];
        $address = ['scheme' => 'amqp', 'host' => '0.0.0.0', 'port' => $port, 'login' => true];

        self::assertSame(Finding::NOTE, Address::finding($address, 2)->state);
        self::assertSame(Finding::OK, Address::finding(['login' => false] + $address, 2)->state);
        self::assertSame(Finding::OK, Address::finding(['host' => '127.0.0.1'] + $address, 2)->state);
    }

    /** @return array{int, string} */
    private function withoutExtension(string $folder): array
    {
        $ini = is_file("$folder/php.ini") ? ['-c', "$folder/php.ini"] : ['-n', '-d', "extension_dir=$folder"];
        $child = Child::command(['env', 'PHP_INI_SCAN_DIR=', PHP_BINARY, ...$ini, dirname(__DIR__) . '/bin/amqp1', 'doctor']);

        return [$child->wait(20), $child->output()];
    }
}
