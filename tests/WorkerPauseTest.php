<?php

declare(strict_types=1);

namespace Amqp1\Tests;

use Amqp1\Tests\Support\Child;
use Amqp1\Tests\Support\Cli;
use Amqp1\Tests\Support\ContractTestCase;
use Amqp1\Worker\Monitoring\Health;
use PHPUnit\Framework\Attributes\DataProvider;

/** A worker that is paused by SIGUSR2: what it has buffered is for others, and it loses nothing. SIGCONT lets it go on. */
final class WorkerPauseTest extends ContractTestCase
{
    private const HANDLERS = <<<'PHP'
        <?php
        return [
            'long' => function () { fwrite(STDERR, "begin\n"); time_nanosleep(1, 0) === true || sleep(1); fwrite(STDERR, "end\n"); },
            'short' => fn () => fwrite(STDERR, "short\n"),
        ];
        PHP;

    private string $folder;

    protected function setUp(): void
    {
        $this->folder = sys_get_temp_dir() . '/amqp1-pause-' . bin2hex(random_bytes(6));
        mkdir($this->folder);
        file_put_contents("$this->folder/handlers.php", self::HANDLERS);
    }

    protected function tearDown(): void
    {
        array_map('unlink', glob("$this->folder/*") ?: []);
        rmdir($this->folder);
        parent::tearDown();
    }

    /** @dataProvider fullyFeatured */
    #[DataProvider('fullyFeatured')]
    public function testAPausedWorkerFinishesItsJobAndTakesNoMore(string $broker): void
    {
        $queue = $this->queue($broker);
        $queue->pushMany([['name' => 'long'], ['name' => 'short'], ['name' => 'short']]);
        $worker = Child::command(Cli::command('work', '-H', "$this->folder/handlers.php", '-Q', $queue->getName(), '--prefetch', '10',
            '--state-file', "$this->folder/state"), ['AMQP1_DSN' => $this->broker($broker)->dsn]);
        $worker->waitFor('begin');
        $worker->signal(SIGUSR2);
        $worker->waitFor('worker paused');
        $worker->waitFor('end');
        // They are another's, before the pause is over.
        foreach ([1, 2] as $_) {
            self::assertSame('short', $this->take($queue)->getName());
        }
        self::assertSame("worker {$worker->pid()} is paused", Health::of("$this->folder/state")?->text);
        self::assertSame([true, false], [Health::of("$this->folder/state")->isAlive, Health::of("$this->folder/state")->isReady]);

        // In a wait.
        $queue->push('short');
        usleep(700_000);
        self::assertStringNotContainsString('short', $worker->output());
        $worker->signal(SIGCONT);
        $worker->waitFor('worker resumed');
        $worker->waitFor('short');
        $this->eventually(fn () => Health::of("$this->folder/state")?->isReady === true, 'it consumes');

        $worker->signal(SIGUSR2);
        $this->eventually(static fn () => substr_count($worker->output(), 'worker paused') === 2, 'it is paused again');
        $worker->signal(SIGTERM);
        self::assertSame(0, $worker->wait(20), $worker->output());
        self::assertSame(1, substr_count($worker->output(), "begin\n"));
    }

    public function testTheApplicationsOwnHandlerStays(): void
    {
        $dsn = var_export($this->broker('program')->dsn, true);
        $autoload = var_export(dirname(__DIR__) . '/php/autoload.php', true);
        $child = Child::php(<<<PHP
            require $autoload;
            pcntl_signal(SIGUSR2, function () { echo "mine\n"; });
            \$queue = new Amqp1\AmqpQueue($dsn, 'own-handler');
            \$queue->setup();
            \$worker = new Amqp1\Worker(\$queue, ['*' => fn () => print("done\n")]);
            \$worker->listen('worker.start', fn () => print("begin\n"));
            \$worker->run();
            PHP);
        $child->waitFor('begin');
        $child->signal(SIGUSR2);
        $child->waitFor('mine');
        $child->signal(SIGTERM);
        self::assertSame(0, $child->wait(10));
        self::assertStringNotContainsString('paused', $child->output());
    }
}
