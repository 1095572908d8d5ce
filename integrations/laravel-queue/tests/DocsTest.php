<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests;

use Amqp1\Laravel\Tests\Support\LaravelTestCase;
use Illuminate\Support\Facades\Log;

/** The marked blocks of docs/laravel.md, in an application. The main suite's DocsTest follows its links. */
final class DocsTest extends LaravelTestCase
{
    private const PAGE = __DIR__ . '/../../../docs/laravel.md';

    public function testTheConnection(): void
    {
        ['amqp1' => $connection] = eval('return [' . $this->block('connection') . '];');
        // Its dsn and queue are those of the test's environment.
        unset($connection['dsn'], $connection['queue']);
        $laravel = $this->laravel('embedded', ['block_for' => 0] + $connection);
        $queue = $laravel->connection();
        $queue->push('Handler@handle');
        $queue->pushOn('mails', 'Handler@handle');
        foreach ([null, 'mails'] as $name) {
            $job = $queue->pop($name);
            self::assertNotNull($job);
            $job->delete();
        }
        self::assertSame(['mails'], array_keys($connection['queues']));
    }

    public function testAJobWithOptions(): void
    {
        $laravel = $this->laravel('embedded');
        $this->declareClass($this->block('job'), 'Illuminate\Contracts\Queue\ShouldQueue', 'Illuminate\Foundation\Bus\Dispatchable',
            'Illuminate\Queue\InteractsWithQueue', 'Illuminate\Bus\Queueable', Log::class);
        Log::swap($log = new class {
            /** @var list<string> */
            public array $lines = [];

            public function info(string $line): void
            {
                $this->lines[] = $line;
            }
        });
        $laravel->connection()->push(new Docs\ProcessOrder(7));
        $job = $laravel->connection()->pop();
        self::assertSame(8, $job->getTask()->getPriority());
        $job->fire();
        self::assertTrue($job->isDeleted());
        self::assertSame(['order 7 of acme, attempt 1'], $log->lines);
    }

    public function testMessagesOfOtherPrograms(): void
    {
        $this->declareClass($this->block('foreign'));
        $laravel = $this->laravel('embedded', ['job' => Docs\OrderMessage::class]);
        $laravel->amqpQueue()->push('OrderPlaced', ['id' => 7]);
        $laravel->app->instance('App\OrderPlaced', $handler = new class {
            public mixed $data = null;

            public function handle(object $job, mixed $data): void
            {
                $this->data = $data;
                $job->delete();
            }
        });
        $laravel->connection()->pop()->fire();
        self::assertSame(['id' => 7], $handler->data);
        self::assertNull($laravel->connection()->pop());
    }

    private function block(string $name): string
    {
        $found = preg_match('/^<!-- laravel: ' . $name . " -->\n```php\n(.*?)^```/ms", (string) file_get_contents(self::PAGE), $block);
        self::assertSame(1, $found, $name);

        return $block[1];
    }

    /** @param class-string ...$uses */
    private function declareClass(string $code, string ...$uses): void
    {
        eval('namespace ' . __NAMESPACE__ . '\Docs; ' . implode('', array_map(static fn ($class) => "use $class; ", $uses)) . $code);
    }
}
