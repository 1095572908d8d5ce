<?php

declare(strict_types=1);

namespace Amqp1\SymfonyMessenger\Tests\App;

use Symfony\Component\Messenger\Exception\UnrecoverableMessageHandlingException;

final class WorkHandler
{
    public function __invoke(Work $work): void
    {
        $before = $work->do === 'fail-once' ? substr_count((string) @file_get_contents(self::log()), "begin $work->number\n") : 0;
        self::write("begin $work->number");
        if (str_starts_with($work->do, 'sleep:')) {
            $until = microtime(true) + (float) substr($work->do, 6);
            while (microtime(true) < $until) {
                usleep(20_000);
            }
        }
        $fails = match ($work->do) {
            'fail' => true,
            'fail-once' => $before === 0,
            'fail-until-fixed' => !is_file(getenv('APP_VAR') . '/fixed'),
            default => false,
        };
        if ($fails) {
            throw new \DomainException("work $work->number fails");
        }
        if ($work->do === 'poison') {
            throw new UnrecoverableMessageHandlingException("work $work->number cannot be done");
        }
        self::write("done $work->number " . strlen($work->body) . ' ' . md5($work->body));
    }

    private static function write(string $line): void
    {
        file_put_contents(self::log(), $line . "\n", FILE_APPEND | LOCK_EX);
    }

    private static function log(): string
    {
        return getenv('APP_VAR') . '/work.log';
    }
}
