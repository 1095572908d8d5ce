<?php

declare(strict_types=1);

/*
 * Shows one failure in every way that PHP has. SecretsTest runs it with a file that returns the case:
 * secrets are passed in that file, because phpinfo() shows arguments and environment.
 *
 * The DSN is never an argument of a function in this file, because traces would rightly show it.
 */

$case = require $argv[1];

function show(string $way, callable $how): void
{
    echo "\n--- $way\n";
    try {
        echo $how();
    } catch (Throwable $refused) {
        echo get_class($refused), ': ', $refused->getMessage(), "\n";
    }
}

function everyWay(mixed $thing): void
{
    show('var_dump', static fn () => var_dump($thing));
    show('print_r', static fn () => print_r($thing, true));
    show('var_export', static fn () => var_export($thing, true));
    show('debug_zval', static function () use ($thing) {
        (function_exists('debug_zval_refcount') ? 'debug_zval_refcount' : 'debug_zval_dump')($thing);
    });
    show('array', static fn () => print_r((array) $thing, true));
    show('json', static fn () => json_encode($thing, JSON_PARTIAL_OUTPUT_ON_ERROR));
    show('serialize', static fn () => serialize($thing));
}

$queue = $consumer = $task = null;
try {
    switch ($case['what']) {
        case 'leak':
            throw new RuntimeException('password: ' . $case['secret']);
        case 'construct':
            $queue = new Amqp1\AmqpQueue($case['dsn'], 'orders', $case['options']);
            break;
        case 'jobs':
            $path = null;
            if (isset($case['options']['text'])) {
                file_put_contents($path = tempnam(sys_get_temp_dir(), 'amqp1-secrets-'), $case['options']['text']);
                register_shutdown_function('unlink', $path);
            }
            new Amqp1\Jobs($path ?? $case['options']);
            break;
        case 'path':
            new Amqp1\Jobs($case['dsn']);
            break;
        case 'pipeline':
            $jobs = new Amqp1\Jobs($case['options']);
            echo "\n--- object Jobs\n";
            everyWay($jobs);
            $queue = $jobs->create('orders');
            break;
        case 'consume':
            $queue = new Amqp1\AmqpQueue($case['dsn'], 'orders', $case['options']);
            $consumer = new Amqp1\Consumer($queue);
            $consumer->waitTask(3);
            break;
        case 'batch':
            $queue = new Amqp1\AmqpQueue($case['dsn'], 'orders', $case['options']);
            $queue->pushMany((static function () use ($case) {
                yield ['name' => 'first'];
                posix_kill($case['broker'], SIGKILL);
                usleep(300000);
                yield from array_fill(0, 5, ['name' => 'after the end']);
            })());
            break;
        case 'lost':
            $queue = new Amqp1\AmqpQueue($case['dsn'], 'orders', $case['options']);
            $queue->push('before');
            $consumer = new Amqp1\Consumer($queue);
            $task = $consumer->waitTask(5);
            posix_kill($case['broker'], SIGKILL);
            usleep(300000);
            // fall through
        default:
            $queue ??= new Amqp1\AmqpQueue($case['dsn'], 'orders', $case['options']);
            $queue->push('job');
    }
    exit("nothing was thrown\n");
} catch (Throwable $thrown) {
    echo 'thrown: ', get_class($thrown), "\n";
}

// Wraps the exception, as a framework does.
$wrapped = new RuntimeException('the job failed', 1, $thrown);
for ($one = $wrapped; $one !== null; $one = $one->getPrevious()) {
    show('message', static fn () => $one->getMessage());
    show('string', static fn () => (string) $one);
    show('trace', static fn () => $one->getTraceAsString() . print_r($one->getTrace(), true) . var_export($one->getTrace(), true));
    everyWay($one);
}
foreach ($thrown instanceof Amqp1\Exception\BatchException ? $thrown->getFailures() : [] as $failure) {
    show('failure', static fn () => (string) $failure);
    everyWay($failure);
}
foreach (array_filter([$queue, $consumer, $task]) as $object) {
    echo "\n--- object ", get_class($object), "\n";
    everyWay($object);
}
show('--ri', static fn () => (new ReflectionExtension('amqp1'))->info());
show('phpinfo', static fn () => phpinfo());
show('error log', static fn () => error_log('logged: ' . $thrown));
show('warning', static fn () => trigger_error('warned: ' . $thrown->getMessage(), E_USER_WARNING));
echo "\n--- uncaught\n";
throw $wrapped;
