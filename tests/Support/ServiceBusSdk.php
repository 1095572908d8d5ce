<?php

declare(strict_types=1);

namespace Amqp1\Tests\Support;

use PHPUnit\Framework\Assert;
use RuntimeException;

/** Microsoft's SDK for Python or JavaScript at the other end; installed by `scripts/sdks install`. */
final class ServiceBusSdk
{
    /** @param 'python'|'javascript' $language */
    public function __construct(private readonly string $language, private readonly string $connectionString)
    {
    }

    /** @return array<string, array{string}> A data set for each SDK. */
    public static function both(): array
    {
        return ['python' => ['python'], 'javascript' => ['javascript']];
    }

    /** @param array<string, mixed> $message `body`, and what the SDK's message has */
    public function send(string $entity, array $message): void
    {
        $this->run('send', $entity, json_encode($message, JSON_THROW_ON_ERROR));
    }

    /** @return list<array<string, mixed>> */
    public function receive(string $entity, int $count = 1, ?string $session = null): array
    {
        return $this->run('receive', $entity, (string) $count, ...($session === null ? [] : [$session]));
    }

    /** @return list<array<string, mixed>> */
    public function peek(string $entity, int $count = 1): array
    {
        return $this->run('peek', $entity, (string) $count);
    }

    /** @return list<array<string, mixed>> */
    private function run(string ...$arguments): array
    {
        $top = dirname(__DIR__, 2);
        $home = "$top/build/sdks/$this->language";
        [$program, $environment] = match ($this->language) {
            'python' => [["$home/bin/python", "$top/tests/sdk/python/peer.py"], []],
            'javascript' => [['node', "$top/tests/sdk/javascript/peer.mjs"], ['AMQP1_SDK_JAVASCRIPT' => $home]],
        };
        if (!is_dir($home)) {
            if (getenv('AMQP1_SDKS_OPTIONAL') && !getenv('CI')) {
                Assert::markTestSkipped("the SDK for $this->language is not installed");
            }
            throw new RuntimeException("$home is not there: scripts/sdks install");
        }
        $process = Child::command([...$program, $this->connectionString, ...$arguments], $environment);
        $code = $process->wait(60);
        $output = $process->output();
        if ($code !== 0) {
            throw new RuntimeException("the SDK for $this->language ended with $code:\n$output");
        }
        $lines = array_filter(explode("\n", $output), static fn ($line) => str_starts_with($line, '{'));

        return array_map(static fn ($line) => json_decode($line, true, flags: JSON_THROW_ON_ERROR), array_values($lines));
    }
}
