<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\AmqpQueue;
use Amqp1\Tests\Support\Broker;
use Amqp1\Tests\Support\Certificates;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Tests\Support\Ctl;
use PHPUnit\Framework\Attributes\DataProvider;
use PHPUnit\Framework\Attributes\Group;

/**
 * What `amqp1 doctor` finds at a RabbitMQ that runs: for each trouble, the line that mends it, which the tests then follow where
 * they can.
 *
 * Alone, because one of them takes the plugin from RabbitMQ 3.
 *
 * @group alone
 */
#[Group('alone')]
final class DoctorRabbitMqTest extends ContractTestCase
{
    private const PASSWORD = 'ge/heim @1';

    /** @dataProvider everyRabbitMq */
    #[DataProvider('everyRabbitMq')]
    public function testItsVersionAndWhatThatMeans(string $broker): void
    {
        $at = $this->broker($broker);
        $version = (new AmqpQueue($at->dsn))->getBroker()['version'];

        $run = Cli::run(['doctor'], ['AMQP1_DSN' => $at->dsn]);
        self::assertSame([0, ''], [$run->code, $run->err], $run->out);
        self::assertMatchesRegularExpression("/^ok       broker: RabbitMQ $version answers in [\\d.]+ ms \\(dialect rabbitmq$version[0]\\)\$/m", $run->out);
        $told = static fn (string $text): bool => str_contains($run->out, $text);
        self::assertSame([
            version_compare($version, '4.0', '<'),
            version_compare($version, '4.0', '>=') && version_compare($version, '4.3', '<'),
            version_compare($version, '4.3', '>='),
        ], [
            $told("note     broker: RabbitMQ $version speaks AMQP 1.0 by a plugin (rabbitmq_amqp1_0): delays, counts"),
            $told("ok       broker: RabbitMQ $version has delays, counts and setup(); consumer_timeout and 32 priorities of quorum queues came with 4.3"),
            $told('note     long jobs: a job is taken back after 1800 s'),
        ], $run->out);
        self::assertStringNotContainsString('guest:guest', $run->out);
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testTheLongestJobAgainstTheTimeoutOfEachPipeline(string $broker): void
    {
        $at = $this->broker($broker);
        $file = sys_get_temp_dir() . '/amqp1-doctor-' . bin2hex(random_bytes(6)) . '.json';
        $pipeline = static fn (array $options) => ['driver' => 'amqp1', 'config' => ['declare' => false] + $options];
        file_put_contents($file, json_encode(['amqp1' => ['addr' => $at->dsn], 'jobs' => ['pipelines' => [
            'reports' => $pipeline(['queue' => $this->uniqueName($at), 'consumer_timeout' => 7200]),
            'mails' => $pipeline(['queue' => $this->uniqueName($at)]),
            'logs' => $pipeline(['queue' => $this->uniqueName($at), 'queue_type' => 'classic']),
        ]]], JSON_THROW_ON_ERROR));
        try {
            $run = Cli::run(['doctor', '--config', $file, '--longest-job', '3600']);
            self::assertSame(1, $run->code, $run->out);
            self::assertStringContainsString('ok       long jobs: a job is taken back after 7200 s; the longest job runs 3600 s', $run->out);
            self::assertStringContainsString("problem  long jobs: mails: a job is taken back after 1800 s, and the longest job runs 3600 s: it would run again\n"
                . "         -> Set 'consumer_timeout' => 5400 on the queue", $run->out);
            self::assertSame(2, substr_count($run->out, 'long jobs: '), 'a classic queue takes no job back');
            self::assertStringEndsWith("\n1 problem.\n", $run->out);

            self::assertSame(0, Cli::run(['doctor', '--config', $file, '--longest-job', '1799'])->code);
        } finally {
            unlink($file);
        }
    }

    /** @dataProvider newestRabbitMq */
    #[DataProvider('newestRabbitMq')]
    public function testATlsThatDoesNotFit(string $broker): void
    {
        $plain = $this->broker($broker)->dsn;
        $tls = (string) getenv('AMQP1_TEST_' . strtoupper(strtr($broker, ['-' => '_', '.' => ''])) . '_TLS');
        if ($tls === '') {
            self::markTestSkipped('no broker with TLS');
        }
        $ca = 'Get the certificate of the CA that signed the broker\'s, and name its file: tls.root_ca=';
        self::assertStringContainsString("\nproblem  TLS: ", $this->problem("$tls?tls.root_ca=" . Certificates::path('other-ca.pem'), $ca));
        $this->problem($tls, $ca);
        $this->problem(strtr($tls, ['amqps:' => 'amqp:']), 'Write amqps:// in place of amqp://');
        $this->problem(strtr($plain, ['amqp:' => 'amqps:']), 'Write amqp:// in place of amqps://');
        self::assertSame(0, Cli::run(['doctor'], ['AMQP1_DSN' => "$tls?tls.root_ca=" . Certificates::path('ca.pem')])->code);
    }

    /** @dataProvider everyRabbitMq */
    #[DataProvider('everyRabbitMq')]
    public function testAWrongPassword(string $broker): void
    {
        self::assertStringContainsString("\nproblem  login: ", $this->problem(self::as($this->broker($broker), 'guest', 'geheim'), 'Check user and password'));
    }

    /** @dataProvider everyRabbitMq */
    #[DataProvider('everyRabbitMq')]
    public function testAVirtualHostThatIsMissingOrRefused(string $broker): void
    {
        $at = $this->reached($broker);
        $vhost = "doctor's " . bin2hex(random_bytes(3));
        $dsn = rtrim($at->dsn, '/') . '/' . rawurlencode($vhost);
        $quoted = escapeshellarg($vhost);
        $mend = "sudo rabbitmqctl add_vhost $quoted if rabbitmqctl list_vhosts does not list it; then sudo rabbitmqctl set_permissions -p $quoted 'guest' '.*' '.*' '.*'";

        self::assertStringContainsString("\nproblem  virtual host: ", $this->problem($dsn, $mend));
        Ctl::run($at, 'add_vhost', $vhost);
        try {
            $this->problem($dsn, $mend);
            Ctl::run($at, 'set_permissions', '-p', $vhost, 'guest', '.*', '.*', '.*');
            self::assertSame(0, Cli::run(['doctor'], ['AMQP1_DSN' => $dsn])->code);
        } finally {
            Ctl::run($at, 'delete_vhost', $vhost);
        }
    }

    /** @dataProvider rabbitMq */
    #[DataProvider('rabbitMq')]
    public function testAMissingPermissionToDeclare(string $broker): void
    {
        $at = $this->reached($broker);
        $user = 'doctor-' . bin2hex(random_bytes(3));
        $queue = $this->uniqueName($at);
        Ctl::run($at, 'add_user', $user, self::PASSWORD);
        try {
            Ctl::run($at, 'set_permissions', $user, '^none$', '.*', '.*');
            $dsn = self::as($at, $user, self::PASSWORD);
            $out = $this->problem($dsn, "sudo rabbitmqctl set_permissions -p '/' '$user' '.*' '.*' '.*'; or narrower patterns than '.*'"
                . " (configure, write, read): the first must match $queue", $queue, '--setup');
            self::assertStringContainsString("\nproblem  permissions: queue '$queue'", $out);

            Ctl::run($at, 'set_permissions', '-p', '/', $user, '.*', '.*', '.*');
            $run = Cli::run(['doctor', '-Q', $queue], ['AMQP1_DSN' => $dsn]);
            self::assertSame(0, $run->code, $run->out);
            self::assertStringContainsString("note     queue: $queue does not exist yet\n         -> The first push or worker declares it, if this user may: amqp1 doctor --setup", $run->out);

            $run = Cli::run(['doctor', '--setup', '-Q', $queue], ['AMQP1_DSN' => $dsn]);
            self::assertSame(0, $run->code, $run->out);
            self::assertStringContainsString("ok       queue: $queue: 0 ready, 0 consumers", $run->out);
            $this->owned($at, $queue);
            $this->problem("$dsn?max_length=5", 'Change the options so that they agree with the broker', $queue, '--setup');
        } finally {
            Ctl::run($at, 'delete_user', $user);
        }
    }

    /** @dataProvider rabbitMq3 */
    #[DataProvider('rabbitMq3')]
    public function testRabbitMq3WithoutItsPlugin(string $broker): void
    {
        $at = $this->reached($broker);
        // What the broker looks for when a client speaks AMQP 1.0.
        Ctl::run($at, 'eval', 'code:purge(rabbit_amqp1_0_reader), code:delete(rabbit_amqp1_0_reader).');
        try {
            $this->problem($at->dsn, 'On RabbitMQ 3: sudo rabbitmq-plugins enable rabbitmq_amqp1_0. RabbitMQ 4 needs no plugin');
        } finally {
            Ctl::run($at, 'eval', '{module, _} = code:load_file(rabbit_amqp1_0_reader).');
        }
        self::assertSame(0, Cli::run(['doctor'], ['AMQP1_DSN' => $at->dsn])->code);
    }

    /** It has one problem, the line that mends it, and no secret; returns what it prints. */
    private function problem(string $dsn, string $mend, string $queue = 'q', string ...$options): string
    {
        $run = Cli::run(['doctor', '-Q', $queue, ...$options], ['AMQP1_DSN' => $dsn]);

        self::assertSame([1, ''], [$run->code, $run->err], $run->out);
        self::assertStringEndsWith("\n1 problem.\n", $run->out);
        self::assertMatchesRegularExpression('/^problem  .*\n         -> ' . preg_quote($mend, '/') . '/m', $run->out);
        $password = (string) preg_replace('#^.*//[^:]*:([^@]*)@.*$#', '$1', $dsn);
        foreach ([":$password@", ...($password === 'guest' ? [] : [$password, rawurldecode($password)])] as $secret) {
            self::assertStringNotContainsString($secret, $run->out);
        }

        return $run->out;
    }

    private static function as(Broker $broker, string $user, string $password): string
    {
        return (string) preg_replace('#//[^@/]*@#', '//' . rawurlencode($user) . ':' . rawurlencode($password) . '@', $broker->dsn);
    }

    private function reached(string $broker): Broker
    {
        $at = $this->broker($broker);
        if (!Ctl::reaches($at)) {
            self::markTestSkipped("rabbitmqctl does not reach the user's own broker");
        }

        return $at;
    }
}
