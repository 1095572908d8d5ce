<?php

declare(strict_types=1);

namespace App\Jobs;

use Illuminate\Bus\Batchable;
use Illuminate\Bus\Queueable;
use Illuminate\Contracts\Queue\ShouldQueue;
use Illuminate\Foundation\Bus\Dispatchable;
use Illuminate\Queue\InteractsWithQueue;

/** Notes that it ran, and then does what the test wants. */
class Note implements ShouldQueue
{
    use Batchable, Dispatchable, InteractsWithQueue, Queueable;

    /** @param string $does sleep 5 | throw | release 2 | fail | a file whose presence ends the throwing */
    public function __construct(public string $text, public string $does = '', public ?string $bytes = null)
    {
    }

    public function handle(): void
    {
        self::write($this->text . ' ' . $this->attempts() . ($this->bytes === null ? '' : ' ' . md5($this->bytes)));
        [$what, $value] = explode(' ', $this->does) + [1 => ''];
        match ($what) {
            'sleep' => $this->sleepFor((float) $value),
            'throw' => throw new \RuntimeException("thrown by $this->text"),
            'throw-until' => is_file(storage_path($value)) ?: throw new \RuntimeException("thrown by $this->text"),
            'release' => $this->attempts() > 1 ?: $this->release((int) $value),
            'fail' => $this->fail(new \RuntimeException("failed by $this->text")),
            'die' => posix_kill(getmypid(), SIGKILL),
            default => null,
        };
        if ($what === 'sleep') {
            self::write("$this->text slept");
        }
    }

    public function failed(?\Throwable $error): void
    {
        self::write("$this->text failed: " . $error?->getMessage());
    }

    public static function write(string $line): void
    {
        file_put_contents(storage_path('notes'), $line . "\n", FILE_APPEND);
    }

    private function sleepFor(float $seconds): void
    {
        // A signal ends a sleep early.
        $until = microtime(true) + $seconds;
        while (($left = $until - microtime(true)) > 0) {
            usleep((int) ($left * 1e6));
        }
    }
}
