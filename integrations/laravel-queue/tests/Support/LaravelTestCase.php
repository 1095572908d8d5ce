<?php

declare(strict_types=1);

namespace Amqp1\Laravel\Tests\Support;

use Amqp1\Tests\Support\ContractTestCase;
use App\Jobs\Note;

/** A test with applications, which are removed after it. */
abstract class LaravelTestCase extends ContractTestCase
{
    /** @var list<Laravel> */
    private array $applications = [];

    /**
     * @param array<string, mixed> $connection
     * @param array<string, string> $environment
     */
    protected function laravel(string $broker, array $connection = [], array $environment = []): Laravel
    {
        $at = $this->broker($broker);
        $name = $this->uniqueName($at, 'laravel');

        return $this->applications[] = new Laravel($at->dsn, $name, $connection + ['timeout' => 20], $environment);
    }

    protected function note(string $text, string $does = ''): Note
    {
        return new Note($text, $does);
    }

    protected function tearDown(): void
    {
        foreach ($this->applications as $laravel) {
            if ($laravel->app->make('queue')->connected()) {
                $laravel->connection()->close();
            }
            $laravel->remove();
        }
        $this->applications = [];
        parent::tearDown();
    }
}
