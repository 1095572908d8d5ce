<?php

declare(strict_types=1);

namespace Amqp1\Command\Top;

use Amqp1\Console\ExitCode;
use Amqp1\Console\Screen\Keys;
use Amqp1\Console\Screen\Line;
use Amqp1\Console\Screen\Painter;
use Amqp1\Console\Screen\Signals;
use Amqp1\Console\Screen\Style;
use Amqp1\Console\Screen\Terminal;
use Amqp1\Console\Text;
use Closure;

/**
 * The screen: waits for keys, answers, signals and the time, and shows the topmost page.
 *
 * @internal
 */
final class Live implements Desk
{
    private const SHORTEST_INTERVAL = 0.25;
    private const LONGEST_INTERVAL = 3600.0;

    /** The screen shows the time. */
    private const TICK = 1.0;

    /** How long the rest of a key's sequence may take. */
    private const SEQUENCE = 0.05;

    private const LEAST_COLUMNS = 20;
    private const LEAST_ROWS = 5;

    /** Seconds that what is under way may take at the end. */
    private const PATIENCE = 2.0;

    /** @var non-empty-list<Page> the one that is shown last */
    private array $pages;

    private bool $isEnding = false;
    private ?string $note = null;
    private bool $isBadNote = false;
    private ?string $question = null;
    private ?Closure $yes = null;

    /** @var array{do: string, queue: string, id?: string}|null what is being done */
    private ?array $request = null;
    private string $doing = '';

    private int $columns = 80;
    private int $rows = 24;

    private readonly Keys $keys;
    private readonly Painter $painter;
    private readonly Signals $signals;

    /**
     * @param Probes $figures those of $watch
     * @param Probes $actions which may take longer
     */
    public function __construct(
        private readonly Terminal $terminal,
        Board $board,
        Workers $workers,
        private readonly Watch $watch,
        private readonly Probes $figures,
        private readonly Probes $actions,
    ) {
        $this->pages = [new QueuesPage($board, $workers, $this, $watch->interval)];
        $this->keys = new Keys();
        $this->painter = new Painter($terminal->hasColours);
        $this->signals = new Signals();
    }

    public function run(): int
    {
        $this->signals->catch();
        try {
            $this->appear();
            while (!$this->isEnding) {
                $this->watch->ask();
                if (!$this->terminal->write($this->painter->changes($this->screen(), $this->columns, $this->rows))) {
                    break;
                }
                $this->wait();
                $this->obey($this->signals->take());
                $this->figures->settle();
                $this->actions->settle();
            }
        } finally {
            $this->terminal->leave();
            $this->signals->leave();
            $this->actions->close(self::PATIENCE);
            $this->figures->close(self::PATIENCE / 10);
        }

        return ExitCode::OK;
    }

    private function wait(): void
    {
        $seconds = $this->keys->isWaiting() ? self::SEQUENCE
            : min(self::TICK - fmod(microtime(true), self::TICK), max($this->watch->rest(), self::SEQUENCE));
        [$read, $write, $except] = [[STDIN, ...$this->figures->streams(), ...$this->actions->streams()], null, null];
        // A signal ends it with a warning.
        $ready = @stream_select($read, $write, $except, 0, (int) ($seconds * 1e6));
        if ($ready !== false && $ready > 0 && in_array(STDIN, $read, true)) {
            $bytes = $this->terminal->read();
            if ($bytes === null) {
                $this->isEnding = true;

                return;
            }
            array_map($this->key(...), $this->keys->read($bytes));
        } elseif ($ready === 0 && $this->keys->isWaiting()) {
            array_map($this->key(...), $this->keys->give());
        }
    }

    private function appear(): void
    {
        $this->terminal->enter();
        $this->painter->forget();
        [$this->columns, $this->rows] = $this->terminal->size();
    }

    /** @param list<int> $signals */
    private function obey(array $signals): void
    {
        foreach ($signals as $signal) {
            switch ($signal) {
                case SIGTSTP:
                    $this->terminal->leave();
                    $this->signals->suspend();
                    $this->appear();
                    break;
                case SIGCONT:
                    // After a SIGSTOP. The terminal may have become somebody else's meanwhile.
                    $this->appear();
                    break;
                case SIGWINCH:
                    [$this->columns, $this->rows] = $this->terminal->size();
                    break;
                default:
                    $this->isEnding = true;
            }
        }
    }

    /** @return list<Line> */
    private function screen(): array
    {
        if ($this->columns < self::LEAST_COLUMNS || $this->rows < self::LEAST_ROWS) {
            return [Line::of('too small')];
        }
        $lines = end($this->pages)->lines($this->columns, $this->rows - 1, Watch::now());

        return [...array_pad(array_slice($lines, 0, $this->rows - 1), $this->rows - 1, Line::of()), $this->lastLine()];
    }

    private function lastLine(): Line
    {
        if ($this->question !== null) {
            return Line::of("$this->question y/n", Style::Warning);
        }
        if ($this->note !== null) {
            return Line::of($this->note, $this->isBadNote ? Style::Bad : Style::Good);
        }
        if ($this->request !== null) {
            return Line::of($this->doing, Style::Dim);
        }
        $text = '';
        foreach (end($this->pages)->hints() as $hint) {
            $longer = $text === '' ? $hint : "$text  $hint";
            if (Text::width($longer) > $this->columns) {
                break;
            }
            $text = $longer;
        }

        return Line::of($text, Style::Dim);
    }

    private function key(string $key): void
    {
        $this->note = null;
        if ($this->question !== null) {
            [$yes, $this->question, $this->yes] = [$this->yes, null, null];
            $key === 'y' || $key === 'Y' ? $yes() : $this->say('Nothing was done');

            return;
        }
        match ($key) {
            'quit' => $this->quit(),
            'redraw' => $this->painter->forget(),
            '?', 'h' => end($this->pages) instanceof HelpPage ? $this->back() : $this->open(new HelpPage($this)),
            default => end($this->pages)->key($key),
        };
    }

    public function open(Page $page): void
    {
        $this->pages[] = $page;
    }

    public function back(): void
    {
        if (count($this->pages) > 1) {
            array_pop($this->pages);
        }
    }

    public function quit(): void
    {
        if ($this->request !== null && $this->request['do'] !== 'look' && !$this->isEnding) {
            // Once more, and it ends all the same.
            $request = $this->request['do'];
            $this->confirm("Still at it ($request of {$this->request['queue']}). Leave anyway?", function (): void {
                $this->isEnding = true;
            });

            return;
        }
        $this->isEnding = true;
    }

    public function refresh(): void
    {
        $this->watch->ask(true);
    }

    public function changeInterval(float $factor): float
    {
        $this->watch->interval = max(self::SHORTEST_INTERVAL, min($this->watch->interval * $factor, self::LONGEST_INTERVAL));

        return $this->watch->interval;
    }

    public function say(string $text, bool $isBad = false): void
    {
        [$this->note, $this->isBadNote] = [$text, $isBad];
    }

    public function confirm(string $question, callable $yes): void
    {
        [$this->question, $this->yes] = [$question, Closure::fromCallable($yes)];
    }

    public function act(array $request, string $doing, callable $then): void
    {
        if ($this->request !== null) {
            $this->say("Not now: $this->doing", true);

            return;
        }
        [$this->request, $this->doing] = [$request, $doing];
        $this->actions->ask($request, function (array $answer) use ($then): void {
            $this->request = null;
            isset($answer['error']) ? $this->say($answer['error'], true) : $then($answer['result']);
        });
    }
}
