<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests\Support;

use Amqp1\AmqpQueue;
use Amqp1\Laravel\Amqp1Queue;
use Amqp1\Tests\Support\Child;
use Illuminate\Contracts\Console\Kernel;
use Illuminate\Foundation\Application;
use Illuminate\Foundation\Bootstrap;
use Illuminate\Support\Facades\Facade;
use RuntimeException;

/** An application with a storage of its own: in this process, and in processes that run artisan. */
final class Laravel
{
    private const APPLICATION = __DIR__ . '/../app';

    public readonly string $storage;
    public readonly Application $app;

    /** @var array<string, string> */
    private array $environment;

    /**
     * @param array<string, mixed> $connection more of config/queue.php
     * @param array<string, string> $environment
     */
    public function __construct(string $dsn, public readonly string $queue, array $connection = [], array $environment = [])
    {
        $this->storage = sys_get_temp_dir() . '/amqp1-laravel-' . bin2hex(random_bytes(6));
        mkdir("$this->storage/cache", 0o777, true);
        $this->createTables();
        $this->environment = $environment + [
            'TEST_STORAGE' => $this->storage,
            'AMQP1_DSN' => $dsn,
            'AMQP1_QUEUE' => $queue,
            'TEST_CONNECTION' => json_encode($connection, JSON_THROW_ON_ERROR),
        ];
        $this->app = $this->application();
    }

    public function connection(?string $name = null): Amqp1Queue
    {
        return $this->app->make('queue')->connection($name);
    }

    /** Another object for the connection: what another process would have. */
    public function another(): Amqp1Queue
    {
        $manager = new \Illuminate\Queue\QueueManager($this->app);
        $manager->addConnector('amqp1', fn () => new \Amqp1\Laravel\Amqp1Connector($this->app));

        return $manager->connection('amqp1');
    }

    public function amqpQueue(): AmqpQueue
    {
        return $this->connection()->amqpQueue();
    }

    /** @param list<string> $arguments */
    public function artisan(array $arguments): Child
    {
        return Child::command([...Child::phpCommand(), self::APPLICATION . '/artisan', ...$arguments], $this->environment);
    }

    /** Runs artisan, and returns its output. */
    public function ran(string ...$arguments): string
    {
        $child = $this->artisan(array_values($arguments));
        $status = $child->wait();
        if ($status !== 0) {
            throw new RuntimeException(implode(' ', $arguments) . " ended with $status:\n" . $child->output() . $this->log());
        }

        return $child->output();
    }

    public function worker(string ...$options): Child
    {
        return $this->artisan(['queue:work', ...array_values($options)]);
    }

    /** @return list<string> what the jobs noted */
    public function notes(): array
    {
        $notes = "$this->storage/notes";

        return is_file($notes) ? explode("\n", rtrim((string) file_get_contents($notes), "\n")) : [];
    }

    /** @return list<string> */
    public function waitForNotes(int $count, float $timeout = 30): array
    {
        return $this->until(fn () => count($this->notes()) >= $count ? $this->notes() : null, $timeout, fn () => "$count notes, but: "
            . implode(' | ', $this->notes()));
    }

    /** @return list<array<string, string>> rows of failed_jobs */
    public function failedJobs(): array
    {
        return $this->rows('select * from failed_jobs order by id');
    }

    /** @return list<array<string, string>> */
    public function rows(string $query): array
    {
        return $this->database()->query($query)->fetchAll(\PDO::FETCH_ASSOC);
    }

    /**
     * @template T
     * @param callable(): (T|null) $get
     * @return T
     */
    public function until(callable $get, float $timeout, callable $what): mixed
    {
        $deadline = microtime(true) + $timeout;
        do {
            $got = $get();
            if ($got !== null) {
                return $got;
            }
            usleep(20_000);
        } while (microtime(true) < $deadline);

        throw new RuntimeException("not within $timeout s: " . $what() . "\n" . $this->log());
    }

    public function log(): string
    {
        return is_file("$this->storage/laravel.log") ? substr((string) file_get_contents("$this->storage/laravel.log"), 0, 4000) : '';
    }

    public function touch(string $file): void
    {
        touch("$this->storage/$file");
    }

    /** Ends it, and removes what it wrote. */
    public function remove(): void
    {
        $this->app->flush();
        Facade::clearResolvedInstances();
        $files = new \RecursiveIteratorIterator(
            new \RecursiveDirectoryIterator($this->storage, \FilesystemIterator::SKIP_DOTS),
            \RecursiveIteratorIterator::CHILD_FIRST
        );
        foreach ($files as $file) {
            $file->isDir() ? rmdir((string) $file) : unlink((string) $file);
        }
        rmdir($this->storage);
    }

    private function application(): Application
    {
        $before = [];
        foreach ($this->environment as $name => $value) {
            $before[$name] = getenv($name);
            putenv("$name=$value");
            $_ENV[$name] = $_SERVER[$name] = $value;
        }
        try {
            $app = require self::APPLICATION . '/app.php';
            // Without Laravel's handlers of errors, which PHPUnit has its own of.
            $app->bootstrapWith([
                Bootstrap\LoadConfiguration::class, Bootstrap\RegisterFacades::class, Bootstrap\SetRequestForConsole::class,
                Bootstrap\RegisterProviders::class, Bootstrap\BootProviders::class,
            ]);
            Facade::clearResolvedInstances();

            return $app;
        } finally {
            foreach ($before as $name => $value) {
                putenv($value === false ? $name : "$name=$value");
                unset($_ENV[$name], $_SERVER[$name]);
            }
        }
    }

    private function database(): \PDO
    {
        $database = new \PDO("sqlite:$this->storage/database.sqlite");
        $database->setAttribute(\PDO::ATTR_TIMEOUT, 10);

        return $database;
    }

    /** As `artisan queue:failed-table` and `queue:batches-table` make them. */
    private function createTables(): void
    {
        $this->database()->exec(<<<'SQL'
            create table failed_jobs (
                id integer primary key autoincrement, uuid varchar unique, connection text not null, queue text not null,
                payload text not null, exception text not null, failed_at datetime default current_timestamp
            );
            create table job_batches (
                id varchar primary key, name varchar not null, total_jobs integer not null, pending_jobs integer not null,
                failed_jobs integer not null, failed_job_ids text not null, options text, cancelled_at integer,
                created_at integer not null, finished_at integer
            );
            create table things (name varchar);
            SQL);
    }
}
