<?php

declare(strict_types=1);

namespace Amqp1\Laravel;

use Amqp1\Consumer;
use Amqp1\Exception\ExceptionInterface;
use Amqp1\Task;
use WeakReference;

/** A consumer, and the jobs of it that are not settled yet. */
final class Holder
{
    /** @var list<array{Task, WeakReference<Amqp1Job>}> */
    private array $inHand = [];

    public function __construct(public readonly Consumer $consumer, private int $prefetch)
    {
    }

    /** Whether the broker would give it another job. */
    public function isFree(): bool
    {
        return count($this->inHand) < $this->prefetch;
    }

    public function handedOut(Task $task, Amqp1Job $job): void
    {
        $this->inHand[] = [$task, WeakReference::create($job)];
    }

    /**
     * Sends what is settled and returns what is not, as an attempt: the worker ends, perhaps because of that very job. The
     * broker does not count jobs that a consumer returns by closing.
     */
    public function close(): void
    {
        try {
            foreach ($this->inHand as [$task]) {
                $task->release();
            }
            $this->inHand = [];
            $this->consumer->close();
        } catch (ExceptionInterface) {
            // The end of the process returns them, too, and nothing may keep Laravel from ending it.
        }
    }

    /**
     * Forgets the jobs that are settled. A handler that is no job class may have neither deleted nor released its job:
     * once nobody has it any more, it goes back, or no other job would ever come.
     *
     * @throws ExceptionInterface
     */
    public function sweep(): void
    {
        foreach ($this->inHand as $index => [$task, $job]) {
            $isForgotten = $job->get() === null;
            if ($task->isCompleted() || $task->isLost() || $isForgotten) {
                unset($this->inHand[$index]);
            }
            if ($isForgotten) {
                $task->release();
            }
        }
        $this->inHand = array_values($this->inHand);
    }
}
