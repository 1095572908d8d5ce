<?php

declare(strict_types=1);

namespace Amqp1\Bench;

use Amqp1\Tests\Support\Fpm;
use RuntimeException;

/** Requests to a php-fpm with one worker; each pushes one confirmed job. The php-fpm is the tests' own. */
final class FpmRequests
{
    private const USAGE = <<<'PHP'
        $usage = getrusage();
        echo 'cpu ', $usage['ru_utime.tv_sec'] * 1e6 + $usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_sec'] * 1e6 + $usage['ru_stime.tv_usec'];
        PHP;

    private const AMQP1 = <<<'PHP'
        $queue = new Amqp1\AmqpQueue($_GET['dsn'], $_GET['queue']);
        $queue->push('Bench', str_repeat('x', 256), ['headers' => ['tenant-id' => 'company-a', 'request-id' => 'req-0123456789abcdef', 'number' => (int) $_GET['n']]]);
        PHP;

    private const PHP_AMQP = <<<'PHP'
        $at = parse_url($_GET['dsn']);
        $connection = new AMQPConnection(['host' => $at['host'], 'port' => $at['port'] ?? 5672,
            'login' => rawurldecode($at['user'] ?? 'guest'), 'password' => rawurldecode($at['pass'] ?? 'guest')]);
        $connection->CONNECT();
        $channel = new AMQPChannel($connection);
        $channel->confirmSelect();
        $channel->setConfirmCallback(static fn () => false, static fn () => throw new RuntimeException('refused'));
        $exchange = new AMQPExchange($channel);
        $exchange->publish(str_repeat('x', 256), $_GET['queue'], AMQP_NOPARAM, ['delivery_mode' => 2, 'content_type' => 'application/octet-stream',
            'headers' => ['tenant-id' => 'company-a', 'request-id' => 'req-0123456789abcdef', 'number' => (int) $_GET['n']]]);
        $channel->waitForConfirm(30);
        PHP;

    /** @return array<string, float> */
    public static function measure(Task $task): array
    {
        require_once __DIR__ . '/../../tests/bootstrap.php';
        $fpm = new Fpm(1);
        $script = $fpm->script(self::script($task->client) . "\n" . self::USAGE);
        $latencies = [];
        $cpu = $seconds = 0.0;
        for ($n = 0; $n < $task->warm + $task->jobs; ++$n) {
            if ($n === $task->warm) {
                $seconds = -hrtime(true) / 1e9;
            }
            $start = hrtime(true);
            $answer = $fpm->client->request($script, ['dsn' => $task->dsn, 'queue' => $task->queues[0], 'n' => $n]);
            $latencies[] = (hrtime(true) - $start) / 1e3;
            if (!preg_match('/^cpu ([\d.E+]+)$/', $answer, $match)) {
                throw new RuntimeException("php-fpm answers: $answer");
            }
            if ($n === $task->warm - 1) {
                $cpu = -(float) $match[1];
            }
        }
        $seconds += hrtime(true) / 1e9;
        $cpu += (float) ($match[1] ?? 0);
        $latencies = array_slice($latencies, $task->warm);
        $fpm->quit();

        return [
            'requests' => $task->jobs / $seconds,
            'cpu' => $cpu / $task->jobs,
            'p50' => Statistics::percentile($latencies, 0.5),
            'p99' => Statistics::percentile($latencies, 0.99),
        ];
    }

    private static function script(string $client): string
    {
        return match ($client) {
            'amqp1', 'before' => self::AMQP1,
            'php-amqp pconnect' => str_replace('CONNECT', 'pconnect', self::PHP_AMQP),
            'php-amqp connect' => str_replace('CONNECT', 'connect', self::PHP_AMQP),
        };
    }
}
